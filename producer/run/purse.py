"""Holds a run within ``--max-cost`` and ``--max-calls``: each row reserves the most that it can cost.

    reserve ──> the journal ──> the row is sent ──> settle
                   └──> replay: a start that was killed left what its rows can cost

A row that was under way at the kill keeps its reserve until the next start has its end.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from askonce.errors import PayloadInvalid
from askonce.key import normal_form
from askonce.rows import Row
from askonce.spend import Spend
from producer.bill.words import stopped_by, too_small
from producer.bill.worst import Worst
from producer.run.again import rows_of
from producer.run.errors import LimitImpossible
from producer.run.journal import Reserve, Round
from producer.run.report import Report

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Iterable, Mapping

    from askonce.rows import BadRow
    from askonce.spec import JobSpec
    from producer.bill.budget import Budget
    from producer.bill.meter import Meter
    from producer.run.limits import Keep


class Purse:
    """The budget of one run, row by row."""

    def __init__(self, budget: Budget, meter: Meter, spec: JobSpec) -> None:
        """Reserve from *budget* what *meter* finds that a row of *spec* can cost."""
        self._budget, self._meter, self._spec = budget, meter, spec
        self._reserved: dict[int, Worst] = {}
        #: Rows that earlier starts ended without a limit, at an unknown cost.
        self._unknown: set[int] = set()
        self._new: list[Reserve] = []
        self._keep: Keep = list
        self._refused: Worst | None = None

    def replay(self, line: Mapping[str, object]) -> None:
        """Take in one *line* of the run's journal: what earlier starts put aside and paid."""
        if "row" in line:
            self.settle(Report.of(line))
        elif (begun := Round.of(line.get("run"))) is not None and begun.refresh:
            self._forget(rows_of(begun))
        for row, *worst in line.get("reserved", ()):  # type: ignore[attr-defined]  # ``journal.py`` checked it
            self._reserve(row, Worst(*worst))

    def begin(self, rows: Iterable[Row | BadRow], has_end: Callable[[int], bool], keep: Keep) -> None:
        """Begin a start of the run, of whose *rows* some have their end; *keep* what others can cost.

        Raises:
            LimitImpossible: a limit is too small for one row, or an earlier row has an unknown cost.
        """
        self._keep, is_first = keep, True
        for row in rows:
            if not (is_first or self._unknown):
                break
            if isinstance(row, Row) and row.number in self._unknown:
                self._count_unknown(row)
            elif isinstance(row, Row) and is_first and not has_end(row.number):
                is_first = False
                self._require_room(row)
        if self._unknown:
            reason = (
                f"{len(self._unknown):,} rows of earlier starts have an unknown cost: choose another --out"
            )
            raise LimitImpossible(option=self._option, reason=reason)

    def reserve(self, row: int, payload: Mapping[str, object]) -> bool:
        """Put aside the most that *row* can cost; return False where that could pass a limit."""
        if row in self._reserved:
            # Its job was sent by an earlier start.
            return True
        worst = self._worst_of(payload)
        if worst is None:
            # It will be refused, unpaid.
            return True
        if not self._budget.admit(worst):
            self._refused = worst
            return False
        self._reserved[row] = worst
        self._new.append(Reserve(row, *worst))
        return True

    def send(self) -> None:
        """Keep what was put aside since the last time: those rows are sent now."""
        if self._new:
            self._keep(self._new)
            self._new = []

    def settle(self, report: Report) -> None:
        """Take back what the row of *report* did not cost."""
        worst = self._reserved.get(report.row)
        paid, calls = Spend(cost_usd=report.cost_usd).micro_usd, report.calls
        if worst is not None and _may_go_on(report, worst):
            paid = calls = None
        if report.is_open and (paid is None or calls is None):
            # The same command asks for the same job again.
            return
        self._reserved.pop(report.row, None)
        if self._is_unknown(worst, paid, calls):
            self._unknown.add(report.row)
        else:
            self._budget.settle(worst or Worst(0, 0), paid, calls)

    @property
    def why(self) -> str:
        """Why no more rows are sent."""
        assert self._refused is not None
        return stopped_by(self._budget, self._refused)

    @property
    def _option(self) -> str:
        return "--max-calls" if self._budget.cost is None else "--max-cost"

    def _reserve(self, row: int, worst: Worst) -> None:
        self._reserved[row] = worst
        self._budget.reserve(worst)

    def _forget(self, rows: Container[int]) -> None:
        """Count those of *rows* as paid that earlier rounds left under way: a refresh has other jobs."""
        for row in [row for row in self._reserved if row in rows]:
            self._budget.settle(self._reserved.pop(row), None, None)

    def _is_unknown(self, worst: Worst | None, paid: int | None, calls: int | None) -> bool:
        """Return whether a limit needs what is not known, and nothing was put aside for it."""
        needs_cost = self._budget.cost is not None and paid is None
        needs_calls = self._budget.calls is not None and calls is None
        return (needs_cost and (worst is None or worst.micro_usd is None)) or (needs_calls and worst is None)

    def _worst_of(self, payload: Mapping[str, object]) -> Worst | None:
        """Return the most that a row can cost; None where its payload is refused."""
        try:
            used = payload if self._spec.input is None else normal_form(self._spec.input, payload)
        except PayloadInvalid:
            return None
        return self._meter.worst_case(used)

    def _count_unknown(self, row: Row) -> None:
        worst = self._worst_of(row.payload)
        if worst is not None:
            self._budget.reserve(worst)
            self._budget.settle(worst, None, None)
            self._unknown.discard(row.number)

    def _require_room(self, row: Row) -> None:
        worst = self._worst_of(row.payload)
        if worst is not None and self._budget.is_too_small_for(worst):
            reason = too_small(self._budget, row.number, worst)
            raise LimitImpossible(option=self._option, reason=reason)


def _may_go_on(report: Report, worst: Worst) -> bool:
    """Return whether calls that this row asked for may be made after its end."""
    if worst.own and report.source != "stale":
        return False
    is_answered = report.status == "done" and report.source in ("call", "cache")
    is_own = report.asked == "admitted" or (report.asked == "attached" and report.calls != 0)
    return is_own and not is_answered
