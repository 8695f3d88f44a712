"""One process on the board of its provider: it reports what its calls met, and learns its share."""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import replace
from math import inf
from secrets import token_hex
from threading import Event as Signal
from typing import TYPE_CHECKING

from askonce.background import is_alive, start_thread
from askonce.errors import StoreUnavailable
from askonce.events import EventType, emit
from askonce.pace.law import adjusted
from askonce.pace.shares import Share, is_without_demand, place_of, share_of_limit, share_of_rate
from askonce.pace.state import Report, State

if TYPE_CHECKING:
    from collections.abc import Callable
    from threading import Lock, Thread

    from askonce.board import Boards, Seen
    from askonce.events import Listener
    from askonce.pace.demand import Load
    from askonce.pace.state import Provider

#: Seconds between two exchanges.
INTERVAL = 0.5
#: Seconds for which a report counts: a process that is killed leaves its share to the others after them.
REPORT_KEPT = 2.5
#: Seconds without a call after which the thread ends, and after which a share is asked for anew.
IDLE = 30.0


class Member:
    """The member for one board; *lock* guards its counts and its share."""

    def __init__(
        self,
        boards: Boards,
        provider: Provider,
        *,
        lock: Lock,
        load: Callable[[], Load],
        on_share: Callable[[list[str]], None],
        listen: Listener,
        clock: Callable[[], float],
    ) -> None:
        """Begin with what is known of a provider that was never called.

        Both are called under the lock: *load* for each report, *on_share* after each exchange, with the jobs
        that other processes were refused since the last one.
        """
        self._boards, self._provider, self._id = boards, provider, token_hex(8)
        self._lock, self._load, self._on_share = lock, load, on_share
        self._listen, self._clock = listen, clock
        first = State(
            subject=provider.subject,
            limit=provider.first,
            few=provider.few,
            is_fixed=provider.is_fixed,
        )
        # The others know of no call: where a rate holds, it begins behind them.
        self.share = Share(first, int(first.limit), provider.ceiling, provider.ceiling, is_idle=True)
        #: What calls met since the last report was made, and until when the provider wished to rest.
        self.counts, self.wish_until = Report(), -inf
        #: The report that the law has not taken yet; the next one has the next number.
        self._reported = Report()
        self._taken_elsewhere: dict[str, int] = {}
        self._exchanged_at = -inf
        self._used_at = -inf
        self._soon = Signal()
        self._is_alone = False
        #: The store's clock less this one.
        self._ahead = time.time() - clock()
        self._thread: Thread | None = None

    def use(self) -> bool:
        """Keep the thread running; return whether the share is too old to be followed. Under the lock."""
        now = self._clock()
        self._used_at = now
        if not is_alive(self._thread):
            self._thread = start_thread("askonce-pace", self._run, self._listen)
        return now - self._exchanged_at > IDLE

    def report_soon(self) -> None:
        """Exchange now, in the thread: the others should know."""
        self._soon.set()

    def exchange(self) -> None:
        """Report, take the others' reports, and follow what they say together."""
        with self._lock:
            report = self._report()
            # A report that waits to be taken keeps what came after it, which may be urgent.
            is_urgent = report.is_urgent or self.counts.is_urgent
        try:
            seen = self._boards.exchange(self._provider.board, self._id, report.encode(), REPORT_KEPT)
            state, reports = self._read(seen)
            is_new = is_urgent and state.taken.get(self._id) != report.number
            if is_new or not 0 <= seen.now - state.at < INTERVAL * 0.8:
                state = state.by_clock(seen.now)
                after = adjusted(state, seen.now, reports)
                if self._boards.propose(self._provider.board, seen.version, after.encode()):
                    self._announce(state, after)
                    state = after
            self._ahead = seen.now - self._clock()
            self._report_alone(None)
        except StoreUnavailable as down:
            # Alone, it follows the same law, and what it knows of the others is forgotten.
            now = self._clock() + self._ahead
            reports, state = {self._id: report}, adjusted(self.share.state, now, {self._id: report})
            self._follow(state, now, reports)
            self._report_alone(down.reason)
            return
        self._follow(state, seen.now, reports)

    def _announce(self, before: State, after: State) -> None:
        """Emit once for all processes that the provider went away, or came back."""
        away, was_away = after.rest, before.rest
        if away is not None and away.probing and (was_away is None or away.since != was_away.since):
            emit(
                self._listen,
                EventType.PROVIDER_AWAY,
                provider=after.subject,
                reason=away.reason,
                seconds=away.until - after.at,
                cure=self._provider.cure_of(away.reason),
            )
        if away is None and was_away is not None and was_away.probing:
            seconds = after.at - was_away.since
            emit(
                self._listen,
                EventType.PROVIDER_BACK,
                provider=after.subject,
                reason=was_away.reason,
                seconds=seconds,
            )

    def _read(self, seen: Seen) -> tuple[State, dict[str, Report]]:
        found = State.decode(seen.state) if seen.state else None
        reports = {who: report for who, note in seen.notes.items() if (report := Report.decode(note))}
        state = found or self.share.state
        if self._provider.is_fixed:
            # An older version lowered it.
            state.limit = self._provider.first
        return state, reports

    def _follow(self, state: State, now: float, reports: dict[str, Report]) -> None:
        """Take the share that *state* gives this process; *now* is the clock of the state."""
        with self._lock:
            local = self._clock()
            if state.epoch != self.share.state.epoch:
                # What began before the change says nothing about the pace after it.
                self.counts = self.counts.of_the_past()
            # What ended while this exchange was under way rests this process until the next one tells of it.
            own_rest = self.share.rest_until if self.counts.is_urgent else -inf
            rest, rates = state.rest, (state.rate, self._provider.ceiling)
            rate = min((each for each in rates if each is not None), default=None)
            others = [each for who, each in reports.items() if who != self._id]
            was_idle, is_idle = self.share.is_idle, is_without_demand(self._id, reports)
            self.share = Share(
                state,
                share_of_limit(state, self._id, reports, is_paced=rate is not None),
                None if rate is None else share_of_rate(rate, self._id, reports),
                rate,
                max(own_rest, -inf if rest is None else local + rest.until - now),
                sum(each.open for each in others),
                sum(each.parked for each in others),
                is_idle=is_idle,
                after=place_of(self._id, reports) / rate if rate and was_idle and not is_idle else 0.0,
            )
            self._exchanged_at = local
            if state.taken.get(self._id) == self._reported.number:
                self._reported = Report(number=self._reported.number)
                if self.counts.is_urgent:
                    self.report_soon()
            self._on_share(self._refused_elsewhere(reports))

    def _refused_elsewhere(self, reports: dict[str, Report]) -> list[str]:
        known, self._taken_elsewhere = (
            self._taken_elsewhere,
            {who: each.number for who, each in reports.items()},
        )
        new = (each for who, each in reports.items() if who != self._id and known.get(who) != each.number)
        # An older version does not name them.
        return [job for each in new if each.refused for job in each.jobs or [""]]

    def _report(self) -> Report:
        """Return the report that was not taken yet, or a new one of what happened since. Under the lock."""
        load = self._load()
        if not self._reported.has_news:
            self._reported = replace(
                self.counts,
                number=self._reported.number + 1,
                epoch=self.share.state.epoch,
                wish=max(0.0, self.wish_until - self._clock()),
            )
            self.counts, self.wish_until = Report(), -inf
        return replace(self._reported, open=load.open, wanted=load.wanted, parked=load.parked)

    def _report_alone(self, reason: str | None) -> None:
        """Emit once that this process follows its own calls only, because the store does not answer."""
        if reason is not None and not self._is_alone:
            emit(self._listen, EventType.PACE_ALONE, reason=reason)
        self._is_alone = reason is not None

    def _run(self) -> None:
        while self._is_used():
            self._soon.wait(INTERVAL)
            self._soon.clear()
            self.exchange()
        with suppress(StoreUnavailable):
            self._boards.exchange(self._provider.board, self._id, b"", REPORT_KEPT)

    def _is_used(self) -> bool:
        """Return whether calls are under way, or were; otherwise the next one starts another thread."""
        with self._lock:
            is_used = self._load().wanted > 0 or self._clock() - self._used_at < IDLE
            if not is_used:
                self._thread = None
            return is_used
