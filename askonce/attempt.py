"""Runs a task body: what it may know of its run, which error its mistakes become, and its answer as bytes."""

from __future__ import annotations

from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import PurePath
from typing import TYPE_CHECKING, NamedTuple

from askonce.answer import Answer, Encoded, Meta, Spend
from askonce.errors import CallFailed, Permanent, Transient, ValueInvalid

if TYPE_CHECKING:
    from collections.abc import Callable

    from askonce.answer import Codec, Result
    from askonce.job import JobId, Key


@dataclass(frozen=True, slots=True, kw_only=True)
class Attempt:
    """What a task body may know of its run; see ``current_attempt``."""

    key: Key
    job: JobId
    #: From 1.
    number: int
    #: Hand it to downstream stores: they refuse a lower one.
    fence: int
    #: The last good answer, when it is too old to be served.
    stale: Result | None
    #: What an earlier attempt of this job left with ``checkpoint``; kept until the job ends.
    reference: str
    #: Leave a short text for the next attempt; an empty one drops it. Advice: it may not arrive.
    checkpoint: Callable[[str], None]


_current: ContextVar[Attempt] = ContextVar("askonce_attempt")


def current_attempt() -> Attempt:
    """Return the attempt that this code runs in.

    Raises:
        LookupError: it does not run in a task body.
    """
    return _current.get()


class Made(NamedTuple):
    """A body's answer, encoded, and the clock's time when it was made."""

    answer: Answer
    encoded: Encoded
    made_at: float
    #: What the answer cost to make, and what this run's own calls cost.
    spend: Spend
    paid: Spend


def make(
    body: Callable[[], object],
    attempt: Attempt,
    *,
    codec: Codec,
    max_bytes: int,
    clock: Callable[[], float],
) -> Made:
    """Call *body* as *attempt*, and encode its answer while the lease is still renewed.

    Raises:
        CallFailed: there is no answer, or it cannot be stored.
    """
    answer = run(body, attempt)
    spend = Spend(usage=answer.usage, cost_usd=answer.cost_usd)
    try:
        meta = Meta(source=answer.source, attempts=attempt.number, spend=spend)
        encoded = codec.pack(answer.value, meta, max_bytes)
    except ValueInvalid:
        # The same payload would give the same unusable answer again, and be paid for again.
        raise Permanent("value_invalid") from None
    return Made(answer, encoded, clock(), spend, answer.paid or spend)


def run(body: Callable[[], object], attempt: Attempt) -> Answer:
    """Call *body* as *attempt*.

    Raises:
        CallFailed: the call failed, or the body raised another error.
    """
    token = _current.set(attempt)
    try:
        value = body()
    except CallFailed:
        raise
    except Exception as exc:
        # A mistake in the body: only its name and place, because its text may quote the payload.
        raise Transient(f"{type(exc).__name__}@{_place(exc)}", maybe_billed=True) from exc
    finally:
        _current.reset(token)
    return value if isinstance(value, Answer) else Answer(value=value)


def _place(exc: BaseException) -> str:
    trace = exc.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    if trace is None:
        return "?"
    return f"{PurePath(trace.tb_frame.f_code.co_filename).name}:{trace.tb_lineno}"
