"""Renews the deliveries of a living worker, and finds those of a dead one.

kombu notes each delivery that is not acknowledged in a sorted set, with the worker's wall clock at its
start, and delivers it again after the visibility timeout. So that timeout must be longer than any run, and
a killed worker's messages rest for as long. Here a worker renews the note of each message that it holds, by
the server's clock. The timeout is then the time without a sign of life, and may be short.
"""

from __future__ import annotations

import os
import threading
from time import monotonic
from typing import TYPE_CHECKING, Any

from redis.exceptions import RedisError, ResponseError

from askonce.background import start_thread
from askonce.events import ignore

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from askonce.adapters.redis.link import ServerLink

#: Renewals, and looks for dead workers' deliveries, within one visibility timeout.
_RENEWALS = 6
#: Deliveries taken over at one look.
_LIMIT = 200

_NOW = "local t = redis.call('TIME') local now = t[1] + t[2] / 1000000 "
#: XX: what is acknowledged or given back stays forgotten.
_RENEW = (
    f"{_NOW} for _, tag in ipairs(ARGV) do redis.call('ZADD', KEYS[1], 'XX', now, tag) end "
    "return tostring(now)"
)
#: Taken over, so that of several workers one restores it; should that one die, the next does.
_TAKE = (
    f"{_NOW} local over = redis.call('ZRANGEBYSCORE', KEYS[1], '-inf', now - ARGV[1], 'LIMIT', 0, ARGV[2]) "
    "for _, tag in ipairs(over) do redis.call('ZADD', KEYS[1], 'XX', now, tag) end return over"
)


class DeliveryLease:
    """One channel's hold on its deliveries; renewed in a thread, because the main one may be in a call."""

    def __init__(
        self, link: ServerLink, index: str, timeout: float, held: Callable[[], Iterable[str]]
    ) -> None:
        """Renew what *held* returns in the sorted set *index*, in time for *timeout* seconds."""
        self._link, self._index, self._timeout, self._held = link, index, timeout, held
        self._ended, self._pid = threading.Event(), os.getpid()
        self._ahead = 0.0
        self._next_look = monotonic()

    def begin(self) -> None:
        """Renew from now on.

        Raises:
            RedisError: the server did not answer.
        """
        self.renew()
        start_thread("askonce-deliveries", self._run, ignore)

    def end(self) -> None:
        """Renew no more; another worker takes over what is still held."""
        if self._pid != os.getpid():
            return  # a forked child has neither the thread nor the connection
        self._ended.set()
        self._link.close_idle()

    def now(self) -> float:
        """Return the server's time in seconds, as of the last renewal and our clock since."""
        return monotonic() + self._ahead

    def renew(self) -> None:
        """Renew all that is held."""
        now = self._eval(_RENEW, *self._held())
        self._ahead = float(now) - monotonic()

    def take_abandoned(self) -> list[str]:
        """Return the tags of some deliveries that no worker renewed; none if the last look was just now."""
        if monotonic() < self._next_look:
            return []
        self._next_look = monotonic() + self._timeout / _RENEWALS
        return [tag.decode() for tag in self._eval(_TAKE, self._timeout, _LIMIT)]

    def _run(self) -> None:
        while not self._ended.wait(self._timeout / _RENEWALS):
            try:
                self.renew()
            except (RedisError, OSError, RuntimeError):
                # The worker's own connection notices a lost server; the next renewal may be in time.
                continue
        # Its connection was in use, or was opened later, when the others were closed.
        self._link.close_idle()

    def _eval(self, script: str, *arguments: object) -> Any:  # noqa: ANN401  # whatever the script returns
        [reply] = self._link.exchange(("EVAL", script, 1, self._index, *arguments))
        if isinstance(reply, ResponseError):
            raise reply
        return reply
