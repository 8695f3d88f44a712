"""Lets calls to one provider begin in their turn.

call ──> turn now? ──> send ──> answered ──> return
          │  │               └─ failed ──> verdict ──> raised, or Postponed: the job is parked
          │  └─ wait (FIFO)
          └─ too long: Postponed
"""

from __future__ import annotations

import time
from collections import deque
from math import inf
from threading import Condition, Lock
from threading import Event as Signal
from typing import TYPE_CHECKING, Final, TypeVar

from askonce.errors import WAITING_FOR_TURN, CallFailed, Postponed
from askonce.events import ignore
from askonce.pace.demand import Demand, Load
from askonce.pace.judge import Judge
from askonce.pace.member import Member
from askonce.pace.places import Places
from askonce.pace.returns import Returns

if TYPE_CHECKING:
    from collections.abc import Callable

    from askonce.board import Boards
    from askonce.events import Listener
    from askonce.pace.state import Provider, State
    from askonce.pace.turn import End, Turn

T = TypeVar("T")

#: Seconds that a call waits for its turn in its worker's slot. A parked job comes back about this late, so
#: that fewer would leave the provider without a call now and then.
PATIENCE: Final = 6.0
#: Seconds of a rest that a call waits for in its slot.
_SHORT_REST: Final = 2.0
#: Seconds that the first call waits for what the other processes know.
_FIRST_SHARE: Final = 0.5


class Pace:
    """The pace of this process's calls to one provider."""

    def __init__(
        self,
        boards: Boards,
        provider: Provider,
        *,
        listen: Listener = ignore,
        clock: Callable[[], float] = time.monotonic,
        is_ending: Callable[[], bool] = lambda: False,
    ) -> None:
        """Pace the calls of this process to *provider*, together with all others that use its board.

        Once *is_ending*, no call waits any more: its job is parked, and another process makes it.
        """
        self._clock, self._is_ending, self._lock = clock, is_ending, Lock()
        self._happened = Condition(self._lock)
        #: The calls that wait; each looks again when its signal is set.
        self._queue: deque[Signal] = deque()
        self._returns, self._demand = Returns(), Demand()
        #: The calls that wait for the first share.
        self._arriving = 0
        self._member = Member(
            boards,
            provider,
            lock=self._lock,
            load=self._load,
            on_share=self._shared,
            listen=listen,
            clock=clock,
        )
        self._places, self._judge = Places(self._member), Judge(self._member, self._happened, clock)

    @property
    def open(self) -> int:
        """How many calls of this process are under way."""
        return self._places.open

    @property
    def state(self) -> State:
        """What all processes follow."""
        return self._member.share.state

    def call(self, subject: str, send: Callable[[Turn], T], *, look: Callable[[], None] = lambda: None) -> T:
        """Return what *send* returns, in its turn; *subject* is the job that the call is for.

        When it has its turn, *look* raises ``Postponed`` if it is not to be made any more.

        Raises:
            Postponed: there is no turn soon, or the provider refused: nothing was paid.
            CallFailed: as *send* raises it.
        """
        turn = self.begin(subject)
        try:
            look()
            try:
                result = send(turn)
            except CallFailed as error:
                failure = self._failed(turn, error)
            else:
                self.end(turn, "answered")
                return result
        finally:
            if turn.is_open:
                # Something else ended it: a time limit may do so wherever it is.
                self.end(turn, "unknown")
        # Outside the handler: what was chained may hold the provider's text.
        raise failure

    def _failed(self, turn: Turn, error: CallFailed) -> CallFailed:
        """End a failed call; return the failure of its job."""
        end, reason, wish, is_parked, own_rest = self._judge.verdict(turn, error)
        among = self.end(turn, end, reason, wish)
        if is_parked:
            with self._lock:
                rest = own_rest or self._park_for(self._clock())
            kind = "configuration" if end == "misconfigured" else "transient"
            return Postponed(reason, retry_after=max(wish, rest), ends_as=kind)
        if end == "timed_out":
            # A server of one's own may have fewer slots than that.
            error.data["reason"] = f"timeout@open:{among}"
        return error

    def remember(self, name: str, value: str) -> None:
        """Let all processes know something of the provider."""
        with self._lock:
            self._member.counts.remembered[name] = value
        self._member.report_soon()

    def look(self) -> None:
        """Raise ``Postponed`` while calls rest: one that began before that is to make no other."""
        with self._lock:
            if self._rest_left(now := self._clock()) > 0:
                raise self._no_turn(now)

    def begin(self, subject: str) -> Turn:
        """Wait for a turn, which must ``end``.

        Raises:
            Postponed: it would take too long.
        """
        with self._lock:
            if self._member.use():
                self._wait_for_share()
            now = self._clock()
            if not self._queue and self._places.wait_left(now) <= 0:
                return self._take(subject, now)
            if self._expected_wait(now) > PATIENCE:
                raise self._no_turn(now)
            waiting, give_up_at = Signal(), now + PATIENCE
            self._queue.append(waiting)
            self._wanted()
            if self._member.share.is_idle:
                # The others must know, and leave a share.
                self._member.report_soon()
        try:
            return self._wait(subject, waiting, give_up_at)
        finally:
            with self._lock:
                # Whatever ended the wait, those behind it go on.
                if waiting in self._queue:
                    self._queue.remove(waiting)
                    self._wake_first()

    def _wait_for_share(self) -> None:
        """Let the thread ask first: nothing is known of the others. Under the lock."""
        self._arriving += 1
        try:
            self._member.report_soon()
            self._happened.wait(_FIRST_SHARE)
        finally:
            self._arriving -= 1

    def _wait(self, subject: str, waiting: Signal, give_up_at: float) -> Turn:
        while True:
            with self._lock:
                now = self._clock()
                # Each exchange wakes it, so that it looks twice a second.
                is_first, is_ending = self._queue[0] is waiting, self._is_ending()
                left = self._places.wait_left(now) if is_first and not is_ending else inf
                gives_up = is_ending or now >= give_up_at or self._rest_left(now) > _SHORT_REST
                if left <= 0 or gives_up:
                    self._queue.remove(waiting)
                    self._wake_first()
                    if left <= 0:
                        return self._take(subject, now)
                    raise self._no_turn(now)
                waiting.clear()
            waiting.wait(min(left, give_up_at - now))

    def _take(self, subject: str, now: float) -> Turn:
        turn = self._places.take(subject, now)
        self._wanted()
        return turn

    def end(self, turn: Turn, end: End, reason: str = "", wish: float = 0.0) -> int:
        """Count how a call ended; return how many were open with it."""
        with self._lock:
            among = self._places.free(turn)
            self._judge.count(turn, end, reason, wish)
            self._wake_first()
            self._happened.notify_all()
        if end in ("refused", "misconfigured", "lost", "timed_out") or turn.is_probe:
            self._member.report_soon()
        return among

    def _load(self) -> Load:
        return Load(self.open, self._wanted(), self._returns.parked(self._clock()))

    def _wanted(self) -> int:
        return self._demand.seen(self._clock(), self.open + len(self._queue) + self._arriving)

    def _rest_left(self, now: float) -> float:
        return self._member.share.rest_until - now

    def _expected_wait(self, now: float) -> float:
        rest, share, before = self._rest_left(now), self._member.share, len(self._queue)
        if rest > _SHORT_REST:
            return inf
        if share.rate is None:
            before = max(before - max(share.limit - self.open, 0), 0)
        return max(rest, 0.0) + before * self._member.share.interval(self._judge.seconds)

    def _no_turn(self, now: float) -> Postponed:
        rest = self.state.rest
        kind = "configuration" if rest is not None and rest.configuration else "transient"
        reason = rest.reason if rest is not None else WAITING_FOR_TURN
        return Postponed(reason, retry_after=self._park_for(now), ends_as=kind)

    def _park_for(self, now: float) -> float:
        """Return the seconds after which a job may look again."""
        state, share = self.state, self._member.share
        # Also a ceiling: thousands of jobs would come back to be parked again.
        is_found = state.rest is None and (share.rate is not None or not state.starting)
        interval = share.interval_of_all(self._judge.seconds) if is_found else None
        return self._returns.after(now, self._rest_left(now), interval, share.parked_elsewhere)

    def _wake_first(self) -> None:
        if self._queue:
            self._queue[0].set()

    def _shared(self, refused_elsewhere: list[str]) -> None:
        """Follow a new share. Under the lock."""
        self._places.follow(self._clock())
        if refused_elsewhere:
            self._judge.refused_elsewhere(refused_elsewhere)
        for waiting in self._queue:
            waiting.set()
        self._happened.notify_all()
