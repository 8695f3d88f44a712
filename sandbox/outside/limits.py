"""Limits of the model service: a rate of requests, and the slots of a server of one's own.

rate    request ─> a token? ─no─> 429, at once
slots   request ─> queue, first come first served ─> slot (latency) ─> answer
                      └─ the client closes its connection: out of the queue, or out of the slot
"""

import math
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from email.utils import formatdate

#: Tells whether the client of a call has closed its connection.
HasLeft = Callable[[], bool]

#: How often a call that waits looks at its connection, in seconds.
LOOK_SECONDS = 0.05
_MINUTE = 60
_MILLISECONDS = 1000
_ROUNDING = 1e-9  # a client that waits exactly as long as it was told gets its token


class ClientLeft(Exception):
    """The client closed its connection before its answer was made."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Allowance:
    """What a token bucket says to one request.

    Attributes:
        wait: Seconds until it would be allowed; 0 if it is.
        limit: Requests a minute.
        remaining: Requests that are allowed at once after this one.
        reset: Seconds until the bucket is full again.
    """

    wait: float
    limit: int
    remaining: int
    reset: float

    @property
    def headers(self) -> dict[str, str]:
        """The headers that OpenAI sends about requests."""
        return {
            "x-ratelimit-limit-requests": str(self.limit),
            "x-ratelimit-remaining-requests": str(self.remaining),
            "x-ratelimit-reset-requests": duration(self.reset),
        }


class Bucket:
    """A token bucket whose rate and size may change between requests. A refused request takes no token."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock, self._lock = clock, threading.Lock()
        self._spent, self._at = 0.0, clock()

    def take(self, rate: float, burst: float) -> Allowance:
        """Take a token, if there is one, at *rate* tokens a second, at most *burst* at once (0: the rate)."""
        size = max(burst or rate, 1.0)
        with self._lock:
            now = self._clock()
            self._spent = max(0.0, self._spent - (now - self._at) * rate)
            self._at = now
            lacking = self._spent + 1 - size
            if lacking <= _ROUNDING:
                self._spent += 1
            return Allowance(
                wait=max(0.0, lacking / rate) if lacking > _ROUNDING else 0.0,
                limit=round(rate * _MINUTE),
                remaining=max(0, math.floor(size - self._spent + _ROUNDING)),
                reset=self._spent / rate,
            )


class Slots:
    """The places in which a server answers; the other calls wait in the order in which they came."""

    def __init__(self) -> None:
        self._taken, self._queue = 0, deque[object]()
        self._moved = threading.Condition()

    @property
    def taken(self) -> int:
        """How many calls have a slot."""
        return self._taken

    @property
    def queued(self) -> int:
        """How many calls wait for one."""
        return len(self._queue)

    @contextmanager
    def one(self, limit: Callable[[], int], left: HasLeft) -> Iterator[None]:
        """Wait for one of *limit* slots (0: any number), and have it for a while.

        Raises:
            ClientLeft: the client *left* while its call waited.
        """
        self._enter(limit, left)
        try:
            yield
        finally:
            with self._moved:
                self._taken -= 1
                self._moved.notify_all()

    def _enter(self, limit: Callable[[], int], left: HasLeft) -> None:
        ticket = object()
        with self._moved:
            self._queue.append(ticket)
            try:
                while not self._may_enter(ticket, limit()):
                    self._moved.wait(LOOK_SECONDS)
                    if left():
                        raise ClientLeft
                self._taken += 1
            finally:
                self._queue.remove(ticket)
                self._moved.notify_all()

    def _may_enter(self, ticket: object, limit: int) -> bool:
        return limit == 0 or (self._taken < limit and self._queue[0] is ticket)


def wish(wanted: float | str, wait: float, *, clock: Callable[[], float] = time.time) -> dict[str, str]:
    """Return the header in which a service asks to come back after *wait* seconds, in the *wanted* form.

    The form is empty for no header, ``seconds``, ``date``, or the number of seconds to say instead.
    """
    seconds = max(1, math.ceil(wait))
    match wanted:
        case "":
            return {}
        case "seconds":
            return {"Retry-After": str(seconds)}
        case "date":
            return {"Retry-After": formatdate(clock() + seconds, usegmt=True)}
    return {"Retry-After": str(wanted).removesuffix(".0")}


def duration(seconds: float) -> str:
    """Write *seconds* as OpenAI does: ``12ms``, ``1s``, ``1.5s``, ``6m0s``."""
    if seconds < 1:
        return f"{math.ceil(seconds * _MILLISECONDS)}ms"
    minutes, rest = divmod(round(seconds, 3), _MINUTE)
    shown = f"{round(rest, 3):g}s"
    return f"{minutes:.0f}m{shown}" if minutes else shown
