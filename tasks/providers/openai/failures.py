"""Maps the errors of the openai package to errors of the engine."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from askonce.errors import CallFailed, Transient
from tasks.providers.failures import from_status, parse_retry_after

if TYPE_CHECKING:
    import openai

#: The service behind the gateway may have finished, and charged, after the gateway gave up.
_GATEWAY_GAVE_UP: Final = frozenset({502, 504})


def failure_of(exc: openai.APIError) -> CallFailed:
    """Return the engine's error for the vendor's error, without its text."""
    import openai

    match exc:
        case openai.APITimeoutError():
            return Transient("timeout", maybe_billed=_was_sent(exc))
        case openai.APIConnectionError():
            return Transient("connection", maybe_billed=_was_sent(exc))
        case openai.APIStatusError():
            wait = parse_retry_after(exc.response.headers)
            billed = exc.status_code in _GATEWAY_GAVE_UP
            return from_status(exc.status_code, code=exc.code, retry_after=wait, maybe_billed=billed)
        case _:
            return Transient("client_error", maybe_billed=True)


def _was_sent(exc: openai.APIConnectionError) -> bool:
    import httpx2

    return not isinstance(exc.__cause__, (httpx2.ConnectError, httpx2.ConnectTimeout, httpx2.PoolTimeout))
