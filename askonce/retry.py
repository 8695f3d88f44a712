"""Decides when a failed call is made again: the only place that retries."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from askonce.answer import Spend
from askonce.errors import CallFailed, Transient
from askonce.record import REASON_KEPT_FOR
from askonce.store import Failing
from askonce.tally import book_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from askonce.execution import Delivery
    from askonce.spec import RetryPolicy


def failing(
    delivery: Delivery, error: CallFailed, attempt: int, draw: Callable[[float, float], float]
) -> Failing:
    """Return what the record keeps of *error* in attempt number *attempt*.

    *draw* picks a number between its two arguments. The record itself knows whether attempts are left.
    """
    spec, spent = delivery.spec, error.spent
    # A call that the provider refused cost nothing, and is in no counter.
    book = book_of(delivery.job, Spend(**cast("dict[str, Any]", spent))) if spent else None
    match error.kind:
        case "permanent":
            return Failing(kind="permanent", reason=error.reason, keep=spec.failure_ttl, book=book)
        case "configuration":
            return Failing(kind="configuration", reason=error.reason, keep=REASON_KEPT_FOR, book=book)
        case "transient" | "quarantined" | "expired" | "cancelled":
            wish = error.retry_after if isinstance(error, Transient) else None
            after = rest(spec.retry, attempt, draw) if wish is None else min(wish, spec.retry.cap)
            quarantine = spec.retry.on_give_up == "quarantine"
            return Failing(
                kind="transient",
                reason=error.reason,
                after=after,
                keep=REASON_KEPT_FOR,
                quarantine=quarantine,
                book=book,
            )


def rest(policy: RetryPolicy, attempt: int, draw: Callable[[float, float], float]) -> float:
    """Return the seconds to rest after *attempt*, from 1: exponential, full jitter, capped."""
    return draw(0.0, min(policy.cap, policy.base * 2.0 ** (attempt - 1)))
