"""Holds the name of a run in the store while a producer works on it, and says there how far it is."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from askonce.errors import StoreUnavailable
from askonce.runs import named
from producer.run.begin import Paid
from producer.run.errors import RunTaken
from producer.run.holder import is_gone, new_holder
from producer.run.limits import LIMIT_REACHED, TAKEN, Stop

if TYPE_CHECKING:
    from collections.abc import Mapping

    from askonce.runs import Fact, Runs, RunState
    from producer.progress.counts import Counts

#: Seconds for which a hold lasts: a producer that is killed leaves its run after this time.
_TTL: Final = 15.0


class Hold:
    """One producer's hold on a run."""

    def __init__(self, runs: Runs, name: str, task: str, counts: Counts, before: Paid | None = None) -> None:
        """Describe the run by its *counts*, and by what earlier starts paid *before*."""
        self._runs, self._name, self._task, self._counts = runs, name, task, counts
        self._holder, self._before = new_holder(), before or Paid()

    def claim(self) -> None:
        """Take the run.

        Raises:
            RunTaken: another producer works on it.
            StoreUnavailable: nobody can say who has it.
        """
        found = self._runs.hold(self._name, self._holder, _TTL, self._task, self._facts())
        if not found.taken and is_gone(found.holder):
            # A producer that was killed on this machine: nobody waits for its hold to end.
            self._runs.release(self._name, found.holder, "stopped", {})
            found = self._runs.hold(self._name, self._holder, _TTL, self._task, self._facts())
        if not found.taken:
            raise RunTaken(run=self._name, holder=named(found.holder))

    def renew(self) -> Stop | None:
        """Keep the run; return why it stops, None where it goes on."""
        found = self._runs.hold(self._name, self._holder, _TTL, self._task, self._facts())
        if not found.taken:
            # A hold that ended while the store was away is another producer's now, and so are the run's jobs.
            return Stop(f"{named(found.holder)} works on this run now", TAKEN)
        return Stop(f"by request: {found.stop}", LIMIT_REACHED, cancels=True) if found.stop else None

    def release(self, state: RunState) -> None:
        """Leave the run, and say how it ended; the record is for those who watch."""
        try:
            self._runs.release(self._name, self._holder, state, self._facts())
        except StoreUnavailable:
            # The hold ends by itself.
            return

    def _facts(self) -> Mapping[str, Fact]:
        counts, before = self._counts.copy(), self._before
        reasons = {f"failed:{name[:60]}": number for name, number in counts.by_reason.most_common(10)}
        statuses = dict(sorted(counts.by_status.items()))
        return {
            "rows": counts.rows,
            **({} if counts.total is None else {"total": counts.total}),
            "answered_before": counts.skipped,
            **statuses,
            "calls": counts.calls + before.calls,
            "cost_usd": (counts.cost_micro_usd + before.micro_usd) / 1_000_000,
            "unpriced_calls": counts.unpriced + before.unpriced,
            "avoided_usd": counts.avoided_micro_usd / 1_000_000,
            "avoided_unknown": counts.avoided_unknown,
            **reasons,
        }
