"""When a run stops before its end, and why."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from typing import TypeAlias

    from askonce.rows import BadRow, Row
    from producer.run.journal import Reserve
    from producer.run.report import Report

    Keep: TypeAlias = Callable[[Sequence[Reserve]], object]

#: Exit codes of a run that stops before its end: a limit, another producer that has the run now, Ctrl-C, or a
#: reader of stdout that has enough.
LIMIT_REACHED: Final = 3
TAKEN: Final = 75
INTERRUPTED: Final = 130
STDOUT_CLOSED: Final = 141
#: A share of failures says little before so many rows have ended.
_SHARE_AFTER: Final = 100
#: Statuses of rows whose call, or its record, is at fault. What is wrong with a row itself costs nothing.
_FAILURES: Final = frozenset({"failed", "negative", "unreadable"})


class Stop(NamedTuple):
    """Why a run stops, and the exit code of that."""

    why: str
    exit_code: int
    #: Whether jobs that wait in their queue end unpaid.
    cancels: bool = False


@dataclass(frozen=True, slots=True)
class MaxFailures:
    """So many rows may fail: a number, or a share of those that ended."""

    number: int | None = None
    percent: float | None = None

    @classmethod
    def parse(cls, text: str) -> MaxFailures:
        """Read ``20`` or ``5%``.

        Raises:
            ValueError: it is neither.
        """
        found = re.fullmatch(r"(\d{1,9})|(\d{1,3}(?:\.\d{1,6})?)\s?%", text.strip())
        if found is None:
            raise ValueError(f"{text!r} is neither a number nor a share such as 5%")
        number, percent = found.groups()
        if percent is not None and float(percent) > 100:  # noqa: PLR2004  # per cent
            raise ValueError(f"{text!r} is more than 100%")
        return cls(None if number is None else int(number), None if percent is None else float(percent))

    def __str__(self) -> str:
        return f"{self.number}" if self.number is not None else f"{self.percent:g}%"


class Failures:
    """Counts the failures of one start of a run."""

    def __init__(self, most: MaxFailures) -> None:
        """Let no more than *most* rows fail."""
        self._most = most
        self._ended = self._failed = 0

    def add(self, report: Report) -> None:
        """Count a row that ended."""
        self._ended += report.status != "invalid"
        self._failed += report.status in _FAILURES or (report.status == "done" and not report.ok)

    @property
    def why(self) -> str | None:
        """Why the run stops; None while it goes on."""
        most, failed, ended = self._most, self._failed, self._ended
        if most.number is not None and failed > most.number:
            return f"{failed} rows failed, more than {most.number} (--max-failures)"
        if most.percent is not None and ended >= _SHARE_AFTER and failed * 100 > most.percent * ended:
            return f"{failed} of {ended} rows failed, more than {most.percent:g}% (--max-failures)"
        return None


class Budget(Protocol):
    """What a run may cost."""

    def replay(self, line: Mapping[str, object]) -> None:
        """Take in one *line* of the run's journal: what earlier starts put aside and paid."""

    def begin(self, rows: Iterable[Row | BadRow], has_end: Callable[[int], bool], keep: Keep) -> None:
        """Begin a start of the run, of whose *rows* some have their end; *keep* what others can cost.

        Raises:
            LimitImpossible: a limit cannot be held, or sends no row.
        """

    def reserve(self, row: int, payload: Mapping[str, object]) -> bool:
        """Put aside the most that *row* can cost; return False where that could pass a limit."""

    def send(self) -> None:
        """Keep what was put aside since the last time: those rows are sent now."""

    def settle(self, report: Report) -> None:
        """Take back what the row of *report* did not cost."""

    @property
    def why(self) -> str:
        """Which limit was reached, and what was spent."""


class NoBudget:
    """No limit."""

    why = ""

    def replay(self, line: Mapping[str, object]) -> None:
        """Do nothing."""

    def begin(self, rows: Iterable[Row | BadRow], has_end: Callable[[int], bool], keep: Keep) -> None:
        """Do nothing."""

    def reserve(self, row: int, payload: Mapping[str, object]) -> bool:  # noqa: ARG002  # as Budget
        """Return True."""
        return True

    def send(self) -> None:
        """Do nothing."""

    def settle(self, report: Report) -> None:
        """Do nothing."""
