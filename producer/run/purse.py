"""Holds a run within ``--max-cost`` and ``--max-calls``: each row reserves the most that it can cost."""

from __future__ import annotations

from typing import TYPE_CHECKING

from askonce.errors import PayloadInvalid
from askonce.key import normal_form
from askonce.spend import Spend
from producer.bill.words import stopped_by
from producer.bill.worst import Worst

if TYPE_CHECKING:
    from collections.abc import Mapping

    from askonce.spec import JobSpec
    from producer.bill.budget import Budget
    from producer.bill.meter import Meter
    from producer.run.report import Report


class Purse:
    """The budget of one run, row by row."""

    def __init__(self, budget: Budget, meter: Meter, spec: JobSpec) -> None:
        """Reserve from *budget* what *meter* finds that a row of *spec* can cost."""
        self._budget, self._meter, self._spec = budget, meter, spec
        self._reserved: dict[int, Worst] = {}
        self._refused: Worst | None = None

    def begin(self, micro_usd: int, calls: int) -> None:
        """Count what earlier starts of the run paid."""
        self._budget.settle(Worst(0, 0), micro_usd, calls)

    def reserve(self, row: int, payload: Mapping[str, object]) -> bool:
        """Put aside the most that *row* can cost; return False where that could pass a limit."""
        try:
            used = payload if self._spec.input is None else normal_form(self._spec.input, payload)
        except PayloadInvalid:
            # It will be refused, unpaid.
            return True
        worst = self._meter.worst_case(used)
        if not self._budget.admit(worst):
            self._refused = worst
            return False
        self._reserved[row] = worst
        return True

    def settle(self, report: Report) -> None:
        """Take back what the row of *report* did not cost."""
        worst = self._reserved.pop(report.row, None)
        if worst is None:
            return
        paid = Spend(cost_usd=report.cost_usd).micro_usd
        self._budget.settle(worst, paid, report.calls)

    @property
    def why(self) -> str:
        """Why no more rows are sent."""
        assert self._refused is not None
        return stopped_by(self._budget, self._refused)
