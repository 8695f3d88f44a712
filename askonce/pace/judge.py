"""Judges how calls ended: what becomes of a failed one's job, and what each says of the provider.

answered ────────────────────> counted
failed ──> refused ──────────> counted, parked ──┬─ this job alone: parked, not counted
       │                                         └─ unpaid, and others are refused too
       ├─ misconfigured ─────> counted, parked
       └─ timed_out, lost, replied, alone ──> an attempt
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple, assert_never

from askonce.errors import CallFailed, Configuration, Postponed, Transient
from askonce.pace.law import REST_WHILE_ACCEPTED
from askonce.pace.limit import level_of
from askonce.pace.met import Met
from askonce.retry import wish_of

if TYPE_CHECKING:
    from collections.abc import Callable
    from threading import Condition

    from askonce.pace.member import Member
    from askonce.pace.turn import End, Turn

#: Seconds that a call with an unpaid failure waits for what other calls meet. What those of another process
#: meet is known after two exchanges: its own, and one of this process.
_JUDGED_WITHIN: Final = 2.0
#: Reasons of calls that nobody answered. One may have been paid; after some of them the provider is away.
_LOST: Final = frozenset({"connection_lost", "gateway_gave_up"})


class Verdict(NamedTuple):
    """What a failed call comes to."""

    end: End
    reason: str = ""
    #: Seconds that the provider wishes; 0 for at once, and without a wish.
    wish: float = 0.0
    #: Whether its job is parked: otherwise it used an attempt.
    is_parked: bool = False
    #: Seconds for which this job alone rests.
    own_rest: float = 0.0


class Judge:
    """Judges the calls of one process. Each end notifies *happened*, whose lock guards what is known."""

    def __init__(self, member: Member, happened: Condition, clock: Callable[[], float]) -> None:
        """Count in the report of *member*."""
        self._member, self._happened, self._clock = member, happened, clock
        #: Seconds of a usual call; optimistic until one has ended.
        self.seconds = 0.1
        self._met, self._misconfigured = Met(), 0
        #: The jobs whose calls were lost since the last reply.
        self._lost: set[str] = set()

    def verdict(self, turn: Turn, error: CallFailed) -> Verdict:
        """Return what *error* comes to; wait for what other calls meet where they decide it."""
        match error:
            case Postponed():
                return self._refusal(turn, error)
            case Configuration(reason=reason):
                return Verdict("misconfigured", reason, is_parked=True)
            case Transient(reason="timeout"):
                return Verdict("timed_out")
            case Transient(reason=reason) if reason in _LOST:
                return Verdict("lost", reason)
            case Transient(reason=reason, maybe_billed=False) if "usage" not in error.data:
                are_refused = self._are_others_refused(turn, reason)
                return self._refusal(turn, error) if are_refused else Verdict("alone")
            case _:
                return Verdict("replied")

    def _refusal(self, turn: Turn, error: CallFailed) -> Verdict:
        wish = (wish_of(error) or 0.0) if error.data.get("retry_after") else 0.0
        with self._happened:
            own_rest = 0.0 if turn.is_probe else self._met.own_rest(turn.subject)
        return Verdict(
            "alone" if own_rest else "refused", error.reason, wish, is_parked=True, own_rest=own_rest
        )

    def _are_others_refused(self, turn: Turn, reason: str) -> bool:
        """Return whether calls of other jobs are refused too: the last one, or the next one."""
        if turn.is_probe:
            # Others were, or nobody would look.
            return True
        with self._happened:
            turn.is_counted = True
            self._member.counts.refuse(turn.subject, reason)
            self._member.report_soon()
            refused_at = self._clock()
            self._met.refused(refused_at, turn.subject)
            self._happened.notify_all()
            if self._met.before(turn):
                return True
            while (are_refused := self._met.after(turn, refused_at)) is None:
                left = refused_at + _JUDGED_WITHIN - self._clock()
                if left <= 0:
                    return False
                self._happened.wait(left)
            return are_refused

    def refused_elsewhere(self, jobs: list[str]) -> None:
        """Note that calls of these *jobs* are refused in other processes. Under the lock."""
        for job in jobs:
            self._met.refused(self._clock(), job)

    def count(self, turn: Turn, end: End, reason: str, wish: float) -> None:
        """Count how a call ended. Under the lock."""
        counts, is_now = self._member.counts, self._is_now(turn)
        if turn.allowance is not None and turn.allowance.can_be:
            counts.allowance = turn.allowance
        match end:
            case "answered" | "replied":
                self._answered(turn, is_answer=end == "answered")
            case "refused":
                counts.refused_now += is_now
                self._refused(turn, reason, wish)
            case "misconfigured":
                self._misconfigured += 1
                counts.misconfigured_now += is_now
                self._refused(turn, reason, wish)
            case "lost":
                self._count_lost(turn, reason)
            case "timed_out":
                counts.timed_out_now += is_now
            case "alone" | "unknown":
                pass
            case _:
                assert_never(end)

    def _is_now(self, turn: Turn) -> bool:
        """Return whether a call began under the state that holds now: others met an older pace."""
        return turn.epoch == self._member.share.state.epoch

    def _answered(self, turn: Turn, *, is_answer: bool) -> None:
        counts, seconds = self._member.counts, self._clock() - turn.begun
        counts.answered += 1
        counts.cured = counts.cured or turn.is_probe
        self._misconfigured = 0
        self._lost.clear()
        self._met.answered(turn)
        if not is_answer:
            return
        level = str(level_of(turn.among))
        number, total, squares = counts.seconds.get(level, (0, 0.0, 0.0))
        counts.seconds[level] = number + 1, total + seconds, squares + seconds**2
        self.seconds += 0.2 * (seconds - self.seconds)
        counts.answered_now += self._is_now(turn)

    def _refused(self, turn: Turn, reason: str, wish: float) -> None:
        member, now = self._member, self._clock()
        if not turn.is_counted:
            member.counts.refuse(turn.subject, reason)
        member.counts.reason = reason
        member.wish_until = max(member.wish_until, now + wish) if wish else member.wish_until
        self._met.refused(now, turn.subject)
        is_enough = not self._misconfigured or self._misconfigured >= member.share.state.few
        if self._is_now(turn) and is_enough:
            # Until the next exchange says more: what one call was wished is not for all.
            member.share.rest(now + min(max(wish, 1.0), REST_WHILE_ACCEPTED))

    def _count_lost(self, turn: Turn, reason: str) -> None:
        # One job that breaks its connection each time says nothing of the provider.
        if not self._is_now(turn) or (turn.subject in self._lost and not turn.is_probe):
            return
        self._lost.add(turn.subject)
        self._member.counts.lost_now += 1
        self._member.counts.reason = reason
        if len(self._lost) >= self._member.share.state.few:
            self._member.share.rest(self._clock() + 1.0)
