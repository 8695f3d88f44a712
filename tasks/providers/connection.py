"""Maps a connection that broke to an error of the engine, by whether the request had left."""

from __future__ import annotations

import httpx2

from askonce.errors import CallFailed, Postponed, Transient
from tasks.providers.failures import failure
from tasks.providers.transport import ReplyRefused


def failure_of_connection(broken: BaseException | None) -> CallFailed:
    """Return the error for what the HTTP client raised in place of an answer.

    A kept connection that is reset may have carried the request: only one that was never made carried none.
    """
    match broken:
        case httpx2.ConnectError() | httpx2.ConnectTimeout() | httpx2.PoolTimeout() | httpx2.ProxyError():
            return failure(Postponed, "connect_failed")
        case ReplyRefused():
            return broken.failure()
        case httpx2.TimeoutException():
            return failure(Transient, "timeout")
        case _:
            return failure(Transient, "connection_lost")
