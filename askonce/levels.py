"""What a store holds at one moment: the numbers that rise and fall, beside the counters."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from askonce.lost import ANY_PRIORITY

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


@dataclass(frozen=True, slots=True, kw_only=True)
class Levels:
    """One reading of a store; None for what its user may not query."""

    #: Jobs that are queued or running.
    in_flight: int
    #: Quarantined jobs, and messages that no worker could use.
    dead_jobs: int
    dead_messages: int
    #: For each queue that workers report: no message that waits there is older, in seconds.
    waits: Mapping[str, float] = field(default_factory=dict)
    #: Of all servers together: keys, bytes in use, bytes that may be used (0: no limit), evicted keys.
    keys: int | None = None
    used_bytes: int | None = None
    most_bytes: int | None = None
    evicted: int | None = None


def longest_waits(progress: Iterable[tuple[str, str, float]]) -> dict[str, float]:
    """Return the most that a message of each queue has waited, in seconds.

    *progress* are queue, priority and for how many seconds nothing younger was delivered there; one that is
    named again was delivered later too. Where all priorities were, none of them has an older message.
    """
    least: dict[str, dict[str, float]] = {}
    for queue, priority, age in progress:
        of = least.setdefault(queue, {})
        of[priority] = min(max(age, 0.0), of.get(priority, age))
    return {queue: _oldest(of) for queue, of in least.items()}


def _oldest(ages: Mapping[str, float]) -> float:
    bound = ages.get(ANY_PRIORITY, float("inf"))
    # A priority that is not named has delivered nothing: most queues use one of them.
    named = [age for priority, age in ages.items() if priority != ANY_PRIORITY]
    return max((min(age, bound) for age in named), default=bound)
