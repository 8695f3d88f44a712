"""Reads from the counters what calls of a task and model have used so far."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Mapping

    from askonce.tally import Counter

#: From so many calls on their average is known well.
ENOUGH = 100
_ENDS = ("done", "failed", "fallback", "quarantined")


class History(NamedTuple):
    """The calls of one task and model since the store began, of all tenants."""

    calls: int = 0
    #: Jobs that ended.
    jobs: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    micro_usd: int = 0
    unpriced: int = 0

    @property
    def calls_per_job(self) -> float:
        """The average, from 1, as a job without a call was not paid, to 2."""
        if not self.jobs or self.calls < ENOUGH:
            return 1.0
        return min(max(self.calls / self.jobs, 1.0), 2.0)


def history_of(totals: Mapping[Counter, int], task: str, model: str) -> History:
    """Return what *totals* (``Tally.totals``) have of *task* and *model*."""
    sums: dict[str, int] = {}
    for counter, amount in totals.items():
        if counter.task == task and counter.model == model:
            sums[counter.what] = sums.get(counter.what, 0) + amount
    return History(
        calls=sums.get("calls", 0),
        jobs=sum(sums.get(end, 0) for end in _ENDS),
        input_tokens=sums.get("tokens:input_tokens", 0),
        output_tokens=sums.get("tokens:output_tokens", 0),
        micro_usd=sums.get("micro_usd", 0),
        unpriced=sums.get("unpriced", 0),
    )
