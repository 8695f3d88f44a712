"""The way from a call of a cached function to its answer, for threads and for loops.

    hit ── fresh ─────────────────────────────────────────────────────────────► answer
     │ none
    admit ── stale, and it may be served ── refresh apart ────────────────────► stale answer
     │
     ├── the call is ours: start ── call the function ── complete ────────────► answer
     │                                    └── it raised: fail ────────────────► its own error
     ├── another process makes it: wait ──────────────────────────────────────► its answer
     │                                    └── it failed: admit again
     └── the store is away: call the function within a budget ────────────────► degraded answer

Of the calls of one process that need the same run, one goes this way, and the others share its end.
"""

from __future__ import annotations

import random
from contextlib import ExitStack
from dataclasses import dataclass, replace
from functools import partial
from threading import Event as Signal
from typing import TYPE_CHECKING, assert_never

from askonce.answer import Kept, Meta
from askonce.claim import Claim, Terms
from askonce.decide import Policy, admit, end_of, report_reused
from askonce.decision import Refuse, Run, Serve, Wait
from askonce.errors import (
    JobError,
    LayoutNewer,
    Postponed,
    RecordDamaged,
    StoreUnavailable,
    Superseded,
)
from askonce.execution import Computed, Deferred, Delivery, Failed, Reused, Skipped
from askonce.freshness import is_within
from askonce.functions.arguments import again
from askonce.functions.effects import Await, Lead, Make, MakeAlone, Rest, Verb
from askonce.functions.found import Found, Raised
from askonce.started import Started
from askonce.store import Write

if TYPE_CHECKING:
    from collections.abc import Callable

    from askonce.answer import Result
    from askonce.decision import Decision
    from askonce.events import Listener
    from askonce.execute import Executor
    from askonce.execution import Execution
    from askonce.functions.ask import Ask
    from askonce.functions.effects import Way
    from askonce.functions.flight import End, Flights
    from askonce.functions.patience import Patience
    from askonce.job import JobId, Key
    from askonce.record import Snapshot
    from askonce.store_down.cache import LocalCache
    from askonce.store_down.calls import LocalCalls
    from askonce.waiting import Waiting

#: Seconds before the record is looked at again, after a start that another process was given.
_PAUSE = 0.05
#: Seconds, drawn between these, before a store that did not answer is asked again.
_RETRY = 0.05, 0.25


@dataclass(frozen=True, slots=True, kw_only=True)
class Answering:
    """What answers need, once in a process."""

    executor: Executor
    local: LocalCalls
    cache: LocalCache
    waiting: Waiting
    flights: Flights
    patience: Patience
    listen: Listener
    draw: Callable[[float, float], float] = random.uniform

    def answer(self, ask: Ask, away: JobError | None = None) -> Way:
        """Find or make the answer, or return what the function raised; *away* is why no store can be asked.

        Raises:
            ValueInvalid: it returned something without a JSON form.
            StoreUnavailable: the store is away, and the budget for calls without it is spent.
        """
        ask.check_outside()
        while True:
            same = ("force" if ask.force else "retry" if ask.retry else "look"), ask.job.key
            seen: Decision | JobError = away or (yield Verb(partial(self._look, ask), same))
            found, away = None, None
            match seen:
                case JobError():
                    found = yield from self._alone(ask, seen)
                case Serve(result=result):
                    found = self._found(ask, result)
                case Refuse(stale=stale) if stale is not None and not ask.force:
                    found = self._served(ask, stale)
                case Refuse():
                    ask.retry = True
                case Wait() | Run():
                    found = yield from self._attached(ask, seen)
            if found is not None:
                return found
            ask.job = again(ask.job)

    def _look(self, ask: Ask) -> Decision | JobError:
        """Admit the call; return why the record cannot be used, where that is so."""
        claim = Claim(ask.job, Terms.of(ask.spec, force=ask.force)._replace(retry=ask.retry))
        try:
            decision = admit(self.executor.store.admit, claim, Policy.RUN, self.listen)
        except (StoreUnavailable, RecordDamaged, LayoutNewer) as error:
            return error
        self.patience.answered()
        unreadable = decision.error if isinstance(decision, Refuse) else None
        return unreadable or decision

    def _answers(self, ask: Ask) -> bool:
        try:
            self.executor.store.read([ask.job.key])
        except StoreUnavailable:
            return False
        self.patience.answered()
        return True

    def _attached(self, ask: Ask, decision: Wait | Run) -> Way:
        """Bring the flight of a job to its end, or share it; None where the record must be asked again."""
        end, is_first = self.flights.join(decision.job)
        meanwhile = decision.meanwhile if isinstance(decision, Run) else None
        if is_first:
            yield Lead(self._lead(ask, decision, end), end, apart=meanwhile is not None)
        if meanwhile is not None:
            return self._served(ask, meanwhile)
        return (yield Await(end)) or ask.own

    def _lead(self, ask: Ask, decision: Wait | Run, end: End) -> Way:
        way = self._run(ask, decision) if isinstance(decision, Run) else self._wait(ask, decision)
        yield from self._bring(decision.job, end, way)

    def _bring(self, job: str, end: End, way: Way) -> Way:
        """Go *way*, and give its end to all who wait for it."""
        own: BaseException | None = None
        try:
            brought = yield from way
            if isinstance(brought, Raised) and not brought.is_shared:
                own = brought.error
            else:
                end.set_result(brought)
        except Exception as error:  # noqa: BLE001  # each caller gets it
            end.set_exception(error)
        finally:
            # What ends a thread or a task is its own: the others ask again.
            self.flights.leave(job, end)
        if own is not None:
            raise own

    def _run(self, ask: Ask, decision: Run) -> Way:
        delivery = Delivery(spec=ask.spec, job=ask.job.under(decision.job))
        clock, stale = self.executor.clock, decision.stale
        seen_at = clock()
        with ExitStack() as held:
            is_left = Signal()
            held.callback(is_left.set)
            try:
                begun = yield Verb(partial(self._begin, delivery, held, is_left))
            except (StoreUnavailable, RecordDamaged, LayoutNewer):
                return None
            if not isinstance(begun, Started):
                if isinstance(begun, Skipped):
                    if isinstance(begun.because, Wait) and begun.because.paused is not None:
                        return self._paused(ask, begun.because.stale, begun.because.paused)
                    yield Rest(_PAUSE)
                return self._found(ask, begun.result) if isinstance(begun, Reused) else None
            returned = yield Make(ask, begun.attempt)
            executed = yield Verb(partial(self.executor.finish, begun, ask.body(returned)))
        if isinstance(executed, Deferred):
            # The failure could not be written: what was seen before it is all that is known.
            return self._failed(ask, stale and _aged(stale, clock() - seen_at, ask.spec.hard_ttl))
        return self._ended(ask, executed)

    def _begin(self, delivery: Delivery, held: ExitStack, is_left: Signal) -> Started | Execution:
        """Start the job; its lease is not held where the way was left meanwhile, with its task."""
        begun = self.executor.begin(delivery, held)
        if is_left.is_set():
            held.close()
        return begun

    def _ended(self, ask: Ask, executed: Computed | Reused | Failed | Skipped) -> Found | Raised | None:
        match executed:
            case Computed(result=result):
                found = Found(ask.job.key, result.job, ask.data, result.source, result)
                if executed.stored is Write.FENCED:
                    # Those who wait get the answer of a new job, as they do in other processes.
                    ask.own = found
                    return None
                if executed.stored is not Write.ABSENT:
                    self._keep(ask, result)
                return found
            case Reused(result=result):
                return self._found(ask, result)
            case Failed(stale=stale):
                return self._failed(ask, stale)
            case Skipped():
                # Another run has the key, or somebody removed its answer.
                return self._failed(ask, None)
        assert_never(executed)

    def _failed(self, ask: Ask, stale: Result | None) -> Found | Raised | None:
        """Answer the caller of a call that failed, by the *stale* answer where it is good enough."""
        kept = _good_enough(ask, stale)
        if kept is not None and isinstance(ask.raised, Exception):
            return self._served(ask, kept)
        return None if ask.raised is None else Raised(ask.raised, ask.is_shared)

    def _wait(self, ask: Ask, decision: Wait) -> Way:
        """Wait for the run of another process; a lease at most, since that process may be stopped."""
        if decision.paused is not None:
            return self._paused(ask, decision.stale, decision.paused)
        awaited, longest = _Awaited(ask.job.key, decision.job), ask.spec.lease
        try:
            result = yield Await(self.waiting.wait(awaited, min(decision.rest or longest, longest)))
        except JobError:
            stale = _good_enough(ask, awaited.stale)
            return None if stale is None else self._served(ask, stale)
        return self._found(ask, result)

    def _paused(self, ask: Ask, stale: Result | None, note: str) -> Found | Raised:
        """Answer a caller whom a pause holds back: nobody knows its end, and no request may wait for it."""
        kept = _good_enough(ask, stale)
        if kept is not None:
            return self._served(ask, kept)
        return Raised(Postponed("paused", note=note, function=ask.name), is_shared=True)

    def _alone(self, ask: Ask, away: JobError) -> Way:
        """Answer without the store; None where it is to be asked again."""
        # A refresh shares no answer that was kept.
        name = f"{'anew' if ask.force else 'alone'}:{ask.job.key}"
        end, is_first = self.flights.join(name)
        if is_first:
            yield Lead(self._bring(name, end, self._call_alone(ask, away)), end)
        return (yield Await(end))

    def _call_alone(self, ask: Ask, away: JobError) -> Way:
        down, job = _as_unavailable(away), ask.job
        while down is away and self.patience.holds():
            if not ask.force and self.cache.get(job.key, job.fingerprint) is not None:
                break
            yield Rest(self.draw(*_RETRY))
            if (yield Verb(partial(self._answers, ask))):
                return None
        delivery, failed = Delivery(spec=ask.spec, job=ask.job), None
        try:
            executed = yield MakeAlone(ask, lambda body: self.local.run(delivery, body, down, anew=ask.force))
        except StoreUnavailable as error:
            executed, failed = None, error
        # Not inside of the block above: what a function raised gets no other error as its context.
        if ask.raised is not None:
            return Raised(ask.raised, ask.is_shared)
        if failed is not None:
            raise failed
        if isinstance(executed, Failed):
            raise executed.to_error()
        return self._found(ask, executed.result)

    def _found(self, ask: Ask, result: Result) -> Found:
        data = ask.codec.encode(result.value, ask.spec.max_value_bytes)
        return Found(ask.job.key, result.job, data, result.source, result, degraded=result.degraded)

    def _keep(self, ask: Ask, result: Result) -> None:
        """Keep an answer in this process, unless one was invalidated since it was asked for."""
        if result.source != "call" or result.fresh_for <= 0:
            return
        meta = Meta(attempts=result.attempts, spend=result.spend).encode()
        fresh_for = result.fresh_for
        kept = Kept(
            result.job, ask.data, meta, result.fence, result.stored_at, 0.0, fresh_for, result.spend.micro_usd
        )
        job = ask.job
        self.cache.put(job.key, job.fingerprint, result.job, kept, fresh_for, asked=ask.epoch)

    def _served(self, ask: Ask, stale: Result) -> Found:
        report_reused(self.listen, ask.job, stale)
        return self._found(ask, stale)


class _Awaited:
    """One job that another process runs, as ``waiting.py`` follows it."""

    __slots__ = ("_job", "key", "stale")

    def __init__(self, key: Key, job: JobId) -> None:
        self.key, self._job = key, job
        #: The last good answer, as the record had it when the job failed.
        self.stale: Result | None = None

    def settle(self, record: Snapshot) -> Result | None:
        """Return the answer; None while the job is under way.

        Raises:
            JobError: there is none, or nobody runs the job any more.
        """
        if record.checked().job == self._job and record.flight != "idle" and not record.lost:
            return None
        match end_of(self.key, self._job, record):
            case Serve(result=result):
                return result
            case Refuse(stale=stale):
                self.stale = stale
        raise Superseded(key=self.key, job=self._job)


def _good_enough(ask: Ask, stale: Result | None) -> Result | None:
    """Return a *stale* answer that may be served because the call failed."""
    is_good = stale is not None and not ask.force and is_within(stale.stale_for, ask.spec.stale_if_error)
    return stale if is_good else None


def _aged(stale: Result, seconds: float, kept: float) -> Result | None:
    """Return a *stale* answer so many *seconds* later; None where it is *kept* no more."""
    age, since = stale.age + seconds, stale.stale_for + seconds
    return replace(stale, age=age, stale_for=since) if age < kept else None


def _as_unavailable(error: JobError) -> StoreUnavailable:
    """Return why this process goes on without the store: a record that it cannot use is none to it."""
    match error:
        case StoreUnavailable():
            return error
        case RecordDamaged():
            return StoreUnavailable(verb="admit", reason="record_damaged")
        case LayoutNewer():
            return StoreUnavailable(verb="admit", reason="layout_newer")
    return StoreUnavailable(verb="admit", reason="answer_unreadable")
