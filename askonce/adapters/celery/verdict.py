"""Turns the end of a delivery into Celery's terms."""

from __future__ import annotations

from functools import wraps
from typing import TYPE_CHECKING, Any, Self, assert_never

from celery.exceptions import Ignore, Reject, Retry
from celery.utils.saferepr import _literal  # type: ignore[attr-defined]  # not in the stubs

from askonce.adapters.celery.control_flow import IGNORED, REJECTED
from askonce.adapters.celery.paused_queues import Returned
from askonce.adapters.celery.states import Parked
from askonce.decision import Refuse, Wait, Why
from askonce.execution import Computed, Deferred, Execution, Failed, Reused, Skipped
from askonce.log import digits_of
from askonce.spend import NOTHING
from askonce.store import Write

if TYPE_CHECKING:
    from collections.abc import Callable

    from askonce.answer import Result
    from askonce.spend import Spend


class Verdict(_literal):  # type: ignore[misc]  # not in the stubs
    """What logs and monitors show of a job in place of its answer.

    With ``resultrepr_maxsize = 0`` Celery shows one thing of a result: the end of a container. Celery takes
    this for such an end.
    """

    #: For the task's own callbacks; never shown.
    result: Result | None
    #: Whether this message's run made the call, and the record has its answer: no duplicate, no fallback.
    is_success: bool

    def __new__(cls, outcome: str, key: str, result: Result | None = None, spend: Spend = NOTHING) -> Self:
        """Show how the job ended, and its *spend*; a flat literal, so that Flower can search its fields."""
        answer = f"'outcome': {outcome!r}"
        if result is not None:
            cost = None if spend.cost_usd is None else digits_of(spend.cost_usd)
            answer += f", 'source': {result.source!r}, 'cost_usd': {cost}, 'tokens': {spend.tokens}"
            answer += f", 'attempts': {result.attempts}"
        text = f"{{{answer}, 'key': '{key[:16]}'}}"
        made: Self = super().__new__(cls, value=text, truncate=False, direction=-1)
        made.result = result
        made.is_success = outcome == "done" and result is not None and result.source == "call"
        return made

    def __repr__(self) -> str:
        return str(self.value)


def verdict(executed: Execution, cure_of: Callable[..., str] = lambda *_, **__: "") -> Verdict:
    """Return what Celery gets of *executed* in place of an answer.

    *cure_of* returns what a person can do about the reason for which a job is put back.

    Raises:
        TaskPredicate: the message is done, and the record says how its job goes on.
        JobFailed: the job ended without an answer.
    """
    match executed:
        case Computed(result=result, stored=stored):
            return Verdict(_computed(stored), result.key, result, result.spend.own)
        case Reused(result=result, spend=spend):
            # Monitors keep the last result of a job: one more message of it shows what the job cost.
            return Verdict("reused", result.key, result, spend)
        case Deferred():
            # Celery only notes the state: the record has the job and the reaper sends it again.
            state = Parked if executed.parked else Retry
            cure = cure_of(executed.reason, kind="", key=executed.key)
            raise state(f"{executed.reason}, again in {executed.after:.1f} s" + (cure and f". {cure}"))
        case Failed(kind="cancelled", reason=reason) if reason == IGNORED:
            raise Ignore
        case Failed(kind="cancelled", reason=reason) if reason == REJECTED:
            # RabbitMQ's dead letter exchange gets the message, where its queue has one.
            raise Reject(REJECTED, requeue=False)
        case Failed():
            raise executed.to_error()
        case Skipped():
            return _skipped(executed.because, executed.key)
    assert_never(executed)


def _computed(stored: Write) -> str:
    """Return the outcome of a call that was made, by what became of its answer."""
    match stored:
        case Write.OK:
            return "done"
        case Write.UNAVAILABLE:
            return "unstored"
        case Write.FENCED | Write.ABSENT:
            return "fenced"
    assert_never(stored)


def _skipped(because: Wait | Refuse, key: str) -> Verdict:
    match because:
        case Wait(returns=True):
            raise Returned
        case Wait():
            raise Ignore
        case Refuse(why=why):
            pass
    match why:
        case Why.RESTS:
            raise Ignore
        case Why.CONFLICT | Why.SUPERSEDED | Why.GONE | Why.UNREADABLE | Why.FAILED | Why.STORE_DOWN:
            return Verdict(why.value, key)
    assert_never(why)


#: Marks a callback that gets answers already.
_WRAPPED = "gets_the_answer"


def with_answer(callback: Callable[..., object]) -> Callable[..., object]:
    """Let a *callback* of a task get the answer; without one, ``on_success`` is not called."""
    if hasattr(callback, _WRAPPED):
        return callback

    @wraps(callback)
    def called(self: Any, *arguments: Any) -> object:
        known = [
            each.result.value if isinstance(each, Verdict) and each.result else each for each in arguments
        ]
        if callback.__name__ == "on_success" and isinstance(known[0], Verdict):
            return None
        return callback(self, *known)

    setattr(called, _WRAPPED, True)
    return called
