"""Which rows a round asks for again, and how: those that it was begun for, and no others."""

from __future__ import annotations

import random
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Container

    from producer.run.journal import Round
    from producer.run.wanted import Wanted

#: Numbers of rows: all there can be, and none.
ALL: Final = range(1, 1 << 62)
NONE: Final = range(0)
#: The same rows are drawn each time.
_SEED: Final = 2026


class HowAsked(NamedTuple):
    """How one row is asked for; rows of one group are asked for alike."""

    #: Whether a kept failure is asked for again.
    retries_failure: bool
    #: An answer that is older does not count; seconds since 1970.
    not_before: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Again:
    """Which rows a round asks for again; by default none. Times are in seconds since 1970."""

    #: Rows that are made anew, and since when.
    anew: Container[int] = NONE
    since: float | None = None
    #: Rows whose failures in earlier rounds are asked for again.
    failed: Container[int] = NONE
    #: Older answers do not count for any row.
    not_before: float | None = None

    def of(self, row: int) -> HowAsked:
        """Return how *row* is asked for."""
        if row not in self.anew:
            return HowAsked(row in self.failed, self.not_before)
        dates = [date for date in (self.not_before, self.since) if date is not None]
        return HowAsked(retries_failure=True, not_before=max(dates, default=None))

    @property
    def takes_any_age(self) -> bool:
        """Whether an answer of any age counts for some row."""
        return self.not_before is None and self.anew is not ALL

    def after(self, begun: Round) -> Again:
        """Return the same for the round that *begun* begins after this one."""
        if begun.refresh:
            return replace(self, anew=rows_of(begun), since=begun.not_before, failed=NONE)
        if begun.retry_failed:
            # What the last round made anew, or did not come to, is too old also where it failed.
            return replace(self, failed=rows_of(begun), not_before=begun.not_before or self.not_before)
        return Again(not_before=begun.not_before)


def rows_of(round_: Round) -> Container[int]:
    """Return the numbers of the rows that *round_* was begun for."""
    if round_.limit is not None:
        return range(1, round_.limit + 1)
    if round_.sample is None or round_.total is None:
        return ALL
    return drawn(round_.sample, round_.total)


def drawn(number: int, total: int) -> frozenset[int]:
    """Return the numbers of so many rows of *total*, drawn at random."""
    return frozenset(random.Random(_SEED).sample(range(1, total + 1), min(number, total)))  # noqa: S311  # no secret


def has_all_of(one: Round | Wanted, other: Round | Wanted) -> bool:
    """Return whether the rows of *one* are all those of *other*, and maybe more."""
    if one.sample is not None:
        return one.sample == other.sample
    return one.limit is None or (other.limit is not None and one.limit >= other.limit)
