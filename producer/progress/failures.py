"""Shows the first rows that failed and counts the others: a million lines help nobody."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from producer.progress.amounts import amount

if TYPE_CHECKING:
    from collections.abc import Callable

#: Lines that a person reads before the count by reasons says more.
MOST_LINES: Final = 20


class FailureLines:
    """Passes on one line for each failed row, at most *most* of them; None passes on all."""

    def __init__(self, tell: Callable[[str], object], most: int | None = MOST_LINES) -> None:
        self._tell, self._most = tell, most
        self._failed = self._before = self._asked_again = 0

    def add(self, line: str) -> None:
        """Pass *line* on, or count it."""
        self._failed += 1
        if self._most is None or self._failed <= self._most:
            self._tell(line)

    def add_before(self, *, is_asked_again: bool) -> None:
        """Count a row that failed at an earlier start, and whether ``--retry-failed`` asks for it again."""
        self._before += 1
        self._asked_again += is_asked_again

    def finish(self, where: str) -> None:
        """Say how many rows were not shown, and *where* all of them are."""
        if self._before:
            again = f"; --retry-failed asks again for {self._asked_again:,} of them" * bool(self._asked_again)
            self._tell(f"{amount(self._before, 'row')} failed at an earlier start: see {where}{again}")
        more = 0 if self._most is None else self._failed - self._most
        if more > 0:
            self._tell(f"... and {amount(more, 'more row failed', 'more rows failed')}: see {where}")
