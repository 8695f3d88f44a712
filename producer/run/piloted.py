"""The pilot of a run: its first rows are called, and say what the others will cost.

A pilot that was begun at an earlier start goes on: rows that it has called are in the journal.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from producer.bill.pilot import Pilot
from producer.bill.words import cost_of
from producer.run.begin import Past, is_new, open_journal
from producer.run.output import beside

if TYPE_CHECKING:
    from collections.abc import Mapping

    from producer.bill.estimate import Range
    from producer.run.forecast import Forecast
    from producer.run.report import Report
    from producer.run.wanted import Wanted


class Piloted:
    """The rows that were called first, at this start and at earlier ones."""

    def __init__(self, forecast: Forecast, called: Mapping[int, float | None]) -> None:
        """Go on with the rows that were *called* at the costs that it has; *forecast* says what is left."""
        self._forecast, self._pilot = forecast, Pilot()
        for row, cost in called.items():
            self._add(row, cost)

    @property
    def last_row(self) -> int | None:
        """The last row to call now; None where enough rows were called before."""
        return max(self._forecast.first, default=None)

    @property
    def rest(self) -> int:
        """How many rows are to be called after the pilot."""
        return self._forecast.to_call - len(self._forecast.first)

    @property
    def cost_of_rest(self) -> Range | None:
        """What those will cost; None where the pilot cannot say."""
        first = self._forecast.first
        return self._pilot.interval95(self.rest, self._forecast.size - sum(first.values()))

    def add(self, report: Report) -> None:
        """Take the end of a row."""
        if report.calls:
            self._add(report.row, report.cost_usd)

    def __str__(self) -> str:
        cost = cost_of(self.cost_of_rest)
        return f"pilot: {self._pilot.rows:,} rows were called; the other {self.rest:,} will cost {cost}"

    def _add(self, row: int, cost_usd: float | None) -> None:
        size = self._forecast.size_of(row)
        if size is not None:
            self._pilot.add(cost_usd, size)


def called_before(wanted: Wanted) -> dict[int, float | None]:
    """Return what the rows cost that earlier starts of the same round called, as many as the pilot wants.

    Raises:
        RunTaken, JournalInvalid, OutputFailed: the journal cannot be read.
    """
    out, found, past = wanted.file, dict[int, float | None](), Past()
    if out is None or wanted.pilot is None:
        return found
    if not os.path.exists(beside(out, "journal")):  # noqa: PTH110  # that of Path raises for a long name
        return found
    with open_journal(out) as journal:
        for offset, line in journal.lines():
            past.add(offset, line)
            row, cost = line.get("row"), line.get("cost_usd")
            if "run" in line:
                found.clear()
            elif isinstance(row, int) and line.get("calls") and len(found) < wanted.pilot:
                found[row] = cost if isinstance(cost, int | float) else None
    begins = past.round is None or is_new(wanted, past.round, has_ended=past.has_ended)
    return {} if begins else found
