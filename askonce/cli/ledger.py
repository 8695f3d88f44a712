"""Adds the counters of money up, for each task, model, tenant or day."""

from __future__ import annotations

from collections import Counter as Sums
from dataclasses import dataclass, field
from datetime import date, timedelta
from typing import TYPE_CHECKING, Final, Literal, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from askonce.tally import Counter

By = Literal["task", "model", "tenant", "day"]
#: A day, counted from 1970, and its counters; None stands for all days together.
Counted: TypeAlias = "tuple[int | None, Mapping[Counter, int]]"
_MICROS: Final = 1_000_000
_TOKENS: Final = "tokens:"
#: What money counts; the other counters are of jobs.
_COUNTED: Final = frozenset(
    {"calls", "micro_usd", "unpriced", "in_doubt", "hit", "stale", "avoided_micro_usd", "avoided_unknown"}
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """What the calls of one group cost: sums of whole numbers, so they are exact."""

    #: What the group has in common, such as ``{"task": "rates.fetch"}``; nothing in the sum of all.
    of: Mapping[str, str]
    counted: Sums[str] = field(default_factory=Sums)

    @property
    def micro_usd(self) -> int:
        """The known prices together, in millionths of a dollar."""
        return self.counted["micro_usd"]

    @property
    def is_priced(self) -> bool:
        """Whether the price of every call is known."""
        return not self.counted["unpriced"]

    @property
    def avoided_micro_usd(self) -> int:
        """What the answers of hits had cost, where that is known."""
        return self.counted["avoided_micro_usd"]

    @property
    def hits(self) -> int:
        """How often a kept answer was served, fresh or stale."""
        return self.counted["hit"] + self.counted["stale"]

    @property
    def is_avoided_known(self) -> bool:
        """Whether the cost of every answer of a hit is known."""
        return not self.counted["avoided_unknown"]

    @property
    def tokens(self) -> dict[str, int]:
        """The provider's counts by their names, the largest first."""
        found = {
            what.removeprefix(_TOKENS): n for what, n in self.counted.items() if what.startswith(_TOKENS)
        }
        return dict(sorted(found.items(), key=lambda each: (-each[1], each[0])))

    def shown(self) -> dict[str, object]:
        """Return the line for programs: a sum of which a part is unknown is None, never less."""
        return {
            **self.of,
            "calls": self.counted["calls"],
            "cost_usd": self.micro_usd / _MICROS if self.is_priced else None,
            "known_micro_usd": self.micro_usd,
            "unpriced": self.counted["unpriced"],
            "in_doubt": self.counted["in_doubt"],
            "hits": self.hits,
            "avoided_usd": self.avoided_micro_usd / _MICROS if self.is_avoided_known else None,
            "known_avoided_micro_usd": self.avoided_micro_usd,
            "avoided_unknown": self.counted["avoided_unknown"],
            "tokens": self.tokens,
        }


def lines_of(days: Iterable[Counted], by: Sequence[By]) -> list[Line]:
    """Return a line for each group of the counters of *days*.

    Groups are in the order of their names. A group in which nothing of money was counted has no line.
    """
    lines: dict[tuple[str, ...], Line] = {}
    for day, counter, amount in _of_money(days):
        of: dict[str, str] = {name: _named(name, counter, day) for name in by}
        line = lines.setdefault(tuple(of.values()), Line(of=of))
        line.counted[counter.what] += amount
    return [lines[names] for names in sorted(lines) if any(lines[names].counted.values())]


def total_of(lines: Iterable[Line]) -> Line:
    """Return the sum of *lines*."""
    total = Line(of={})
    for line in lines:
        total.counted.update(line.counted)
    return total


def day_of(number: int) -> str:
    """Return the date of a day that is counted from 1970."""
    return (date(1970, 1, 1) + timedelta(days=number)).isoformat()


def _of_money(
    days: Iterable[Counted],
) -> Iterator[tuple[int | None, Counter, int]]:
    for day, counters in days:
        for counter, amount in counters.items():
            if counter.what in _COUNTED or counter.what.startswith(_TOKENS):
                yield day, counter, amount


def _named(name: By, counter: Counter, day: int | None) -> str:
    if name == "day":
        return "" if day is None else day_of(day)
    return str(getattr(counter, name))
