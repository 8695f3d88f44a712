"""Decides when a failed call is made again: the only place that retries."""

from __future__ import annotations

from typing import TYPE_CHECKING

from askonce.errors import WAITING_FOR_TURN, CallFailed, Postponed, Transient
from askonce.record import FLIGHT_KEPT, REASON_KEPT_FOR
from askonce.spec import LONGEST_REST, MOST_ATTEMPTS
from askonce.store import Failing

if TYPE_CHECKING:
    from collections.abc import Callable

    from askonce.spec import JobSpec, RetryPolicy

#: Seconds: a provider that wishes no rest would get all attempts in a moment.
SHORTEST_WISH = 1.0
#: The largest exponent of a float.
_MOST_DOUBLINGS = 1023


def failing(spec: JobSpec, error: CallFailed, attempt: int, draw: Callable[[float, float], float]) -> Failing:
    """Return what the record keeps of *error* in attempt number *attempt*.

    *draw* picks a number between its two arguments. The record itself knows whether attempts are left.
    """
    match error.kind:
        case "permanent":
            return Failing(kind="permanent", reason=error.reason, keep=spec.failure_ttl)
        case "configuration":
            return Failing(kind="configuration", reason=error.reason, keep=REASON_KEPT_FOR)
        case "cancelled":
            return Failing(kind="cancelled", reason=error.reason, keep=REASON_KEPT_FOR)
        case "transient" | "quarantined" | "expired":
            wish = wish_of(error)
            after = rest(spec.retry, attempt, draw) if wish is None else wish
            quarantine = spec.retry.on_give_up == "quarantine"
            return Failing(
                kind="transient",
                reason=error.reason,
                after=after,
                keep=REASON_KEPT_FOR,
                quarantine=quarantine,
                max_attempts=_max_attempts_of(error),
            )


def rest(policy: RetryPolicy, attempt: int, draw: Callable[[float, float], float]) -> float:
    """Return the seconds to rest after *attempt*, from 1: exponential, full jitter, capped."""
    doubled = policy.base * 2.0 ** min(attempt - 1, _MOST_DOUBLINGS)
    return draw(0.0, min(policy.cap, doubled))


def rest_unpaid(error: Postponed, left: float) -> float:
    """Return the seconds to rest without an attempt: as wished, within the *left* seconds of ``park_for``."""
    return min(wish_of(error) or SHORTEST_WISH, max(left, SHORTEST_WISH))


def parked_within(spec: JobSpec, error: Postponed) -> float:
    """Return the seconds for which a job may be parked in all: nobody refused one that waits for its turn."""
    is_in_turn = error.reason == WAITING_FOR_TURN and spec.park_for > 0
    return FLIGHT_KEPT if is_in_turn else spec.park_for


def _max_attempts_of(error: CallFailed) -> int | None:
    """Return how often the body wants its job to be attempted; None without a wish."""
    wish: object = error.max_attempts if isinstance(error, Transient) else None
    return min(max(wish, 1), MOST_ATTEMPTS) if type(wish) is int else None


def wish_of(error: CallFailed) -> float | None:
    """Return the seconds that the provider wishes, from a second to a day; None without a wish."""
    wish: object = error.retry_after if isinstance(error, Transient | Postponed) else None
    if isinstance(wish, bool) or not isinstance(wish, int | float) or wish != wish:  # noqa: PLR0124  # only NaN differs from itself
        return None
    return float(min(max(wish, SHORTEST_WISH), LONGEST_REST))
