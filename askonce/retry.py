"""Decides when a failed call is made again: the only place that retries."""

from __future__ import annotations

from typing import TYPE_CHECKING

from askonce.errors import CallFailed, Transient
from askonce.store import Failing

if TYPE_CHECKING:
    from collections.abc import Callable

    from askonce.spec import JobSpec, RetryPolicy

#: Seconds for which waiters can read why a job ended, where the failure answers no later caller.
REASON_KEPT_FOR = 120.0


def failing(spec: JobSpec, error: CallFailed, attempt: int, draw: Callable[[float, float], float]) -> Failing:
    """Return what the record keeps of *error* in attempt number *attempt*.

    *draw* picks a number between its two arguments. The record itself knows whether attempts are left.
    """
    match error.kind:
        case "permanent":
            return Failing(kind="permanent", reason=error.reason, keep=spec.failure_ttl)
        case "configuration":
            return Failing(kind="configuration", reason=error.reason, keep=REASON_KEPT_FOR)
        case "transient" | "quarantined":
            wish = error.retry_after if isinstance(error, Transient) else None
            after = rest(spec.retry, attempt, draw) if wish is None else min(wish, spec.retry.cap)
            quarantine = spec.retry.on_give_up == "quarantine"
            return Failing(
                kind="transient",
                reason=error.reason,
                after=after,
                keep=REASON_KEPT_FOR,
                quarantine=quarantine,
            )


def rest(policy: RetryPolicy, attempt: int, draw: Callable[[float, float], float]) -> float:
    """Return the seconds to rest after *attempt*, from 1: exponential, full jitter, capped."""
    return draw(0.0, min(policy.cap, policy.base * 2.0 ** (attempt - 1)))
