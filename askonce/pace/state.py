"""What a board holds: the report of each process, and the state that follows from all reports."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field, replace
from typing import TYPE_CHECKING, Final, NamedTuple, Self

import orjson

from askonce.pace.reading import read

if TYPE_CHECKING:
    from collections.abc import Callable
#: More calls, or seconds, than any window has.
_MOST_ALLOWED: Final = 1e9
#: Jobs that a report names.
_JOBS: Final = 2
#: A level of open calls has no more digits.
_DIGITS: Final = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Provider:
    """Where calls go, and what is known of it beforehand."""

    #: The name of its board: equal for all processes that share its limits.
    board: str
    #: Names it to people.
    subject: str = ""
    #: How many calls may be open at once while nothing is known.
    first: float = 4.0
    #: The most calls a second, in all processes.
    ceiling: float | None = None
    #: Failures in a row that every job would meet, after which all processes stop.
    few: int = 3
    #: Whether *first* holds for ever: the calls themselves are paced elsewhere.
    is_fixed: bool = False
    #: What a person can do about a reason.
    cure_of: Callable[[str], str] = lambda _reason: ""


class Allowance(NamedTuple):
    """What a provider still accepts, as its headers say."""

    #: Calls in a full window.
    limit: float
    remaining: float
    #: Seconds until the window is full again.
    reset: float

    @property
    def can_be(self) -> bool:
        """Whether these are numbers that a provider may mean, and that JSON can hold."""
        return self.limit > 0 and all(0 <= each <= _MOST_ALLOWED for each in self)


@dataclass(slots=True, kw_only=True)
class Report:
    """What the calls of one process met since the report before it, and what it wants now.

    It is counted into until it is made. A process adds its number, its epoch and what it wants then.
    """

    #: Raised when the law has taken the last report.
    number: int = 0
    #: Of the state that the calls counted as *now* began under.
    epoch: int = 0
    #: Calls under way, and those that wait for a turn too.
    open: int = 0
    wanted: int = 0
    #: Parked jobs that have not come back.
    parked: int = 0
    sent: int = 0
    answered: int = 0
    refused: int = 0
    #: Some of the jobs whose calls were refused: two say as much as all.
    jobs: list[str] = field(default_factory=list)
    #: Of the calls that began after the last change of the state: the others met an older pace.
    refused_now: int = 0
    timed_out_now: int = 0
    #: Jobs whose calls nobody answered, since the last reply.
    lost_now: int = 0
    misconfigured_now: int = 0
    #: Answers to calls that began after the last change of the state.
    answered_now: int = 0
    #: A call that was made to see whether the provider is back had a reply.
    cured: bool = False
    #: The longest wish of a provider, in seconds from now.
    wish: float = 0.0
    reason: str = ""
    #: What this process learned of the provider, by name.
    remembered: dict[str, str] = field(default_factory=dict)
    #: Level of open calls -> number of answers, sum of their seconds, sum of the squares of these.
    seconds: dict[str, tuple[int, float, float]] = field(default_factory=dict)
    allowance: Allowance | None = None

    def refuse(self, job: str, reason: str) -> None:
        """Count that a call of this *job* was refused."""
        self.refused += 1
        self.reason = reason
        if job not in self.jobs and len(self.jobs) < _JOBS:
            self.jobs.append(job)

    @property
    def has_news(self) -> bool:
        """Whether the law has anything to take from it."""
        return replace(self, number=0, epoch=0, open=0, wanted=0, parked=0) != _NO_NEWS

    @property
    def is_urgent(self) -> bool:
        """Whether others must know of it at once: all else they take when they look anyway."""
        failed = self.refused or self.refused_now or self.misconfigured_now or self.lost_now
        return bool(failed or self.timed_out_now or self.cured or self.remembered)

    def of_the_past(self) -> Self:
        """Return it without what calls met under the last state: this one is newer."""
        return replace(self, answered_now=0, refused_now=0, timed_out_now=0, lost_now=0, misconfigured_now=0)

    def encode(self) -> bytes:
        """Return it as a note."""
        return orjson.dumps(asdict(self) | {"allowance": list(self.allowance) if self.allowance else None})

    @classmethod
    def decode(cls, note: bytes) -> Self | None:
        """Return the report in *note*; None for something else."""
        found = read(cls, note)
        return found if found is not None and found.can_be else None

    @property
    def can_be(self) -> bool:
        """Whether calls can have met this: the numbers alone say little."""
        numbers = (getattr(self, name) for name in self.__slots__)
        is_counted = all(each >= 0 for each in numbers if isinstance(each, int | float))
        is_counted = is_counted and (self.allowance is None or self.allowance.can_be)
        return is_counted and all(_is_level(name) and each[0] > 0 for name, each in self.seconds.items())


#: A refusal may be told in two reports: the second one has nothing but that it is the provider's.
_NO_NEWS: Final = Report()


@dataclass(frozen=True, slots=True, kw_only=True)
class Rest:
    """A time in which no call is made."""

    #: When it ends, by the store's clock.
    until: float
    #: When the first of these rests began.
    since: float
    #: Why the provider refused.
    reason: str
    #: How many of them came one after the other.
    times: int = 1
    #: Whether one call alone is made afterwards, to see whether the provider is back.
    probing: bool = False
    #: Whether a person must act: a key, a model, an address.
    configuration: bool = False
    #: The process that makes this call: one, because each proposal names it.
    by: str = ""


@dataclass(slots=True, kw_only=True)
class Level:
    """How long calls took while about so many were open."""

    count: float
    mean: float
    variance: float
    at: float
    #: Of the last answers, how many in a row took much longer.
    late: float = 0.0


@dataclass(slots=True, kw_only=True)
class State:
    """What all processes follow. Times are in seconds by the store's clock."""

    #: What the calls go to, for people: host and model.
    subject: str = ""
    #: What holds for this provider, by name.
    remembered: dict[str, str] = field(default_factory=dict)
    #: As the ``Provider`` has them.
    few: int = 3
    is_fixed: bool = False
    at: float = 0.0
    #: Raised by each change that calls under way could not know.
    epoch: int = 0
    #: How many calls may be open at once.
    limit: float
    #: Whether the limit doubles after as many answers.
    starting: bool = True
    answered_now: int = 0
    #: By how much the limit grows in a round trip.
    step: float = 1.0
    #: When the limit may change again.
    next_change: float = 0.0
    #: Calls a second; None without a limit.
    rate: float | None = None
    #: Calls accepted so far, and their number at some past moments.
    accepted: int = 0
    marks: list[tuple[float, int]] = field(default_factory=list)
    #: The last time when the provider had no room for more: the time, and the calls accepted until then.
    full: tuple[float, int] | None = None
    #: The rate before the refusals that go on now.
    rate_before: float | None = None
    #: Whether the rate was measured between two such moments.
    is_measured: bool = False
    rest: Rest | None = None
    #: The last job that was refused with a wish, and when.
    refused_job: tuple[float, str] | None = None
    #: The calls accepted when one alone was refused, which may be the beginning of an outage.
    doubted: int | None = None
    #: Configuration failures since the last answer.
    misconfigured: int = 0
    #: Lost calls since the last reply.
    lost: int = 0
    levels: dict[str, Level] = field(default_factory=dict)
    #: Seconds of a usual call.
    round_trip: float = 1.0
    #: The number of the report that was taken from each process.
    taken: dict[str, int] = field(default_factory=dict)

    def begin_epoch(self) -> None:
        """Change what calls under way could not know."""
        self.epoch, self.answered_now = self.epoch + 1, 0

    def encode(self) -> bytes:
        """Return it for a board."""
        return orjson.dumps(asdict(self))

    def by_clock(self, now: float) -> State:
        """Return it with the times that it would have by a clock that shows *now*.

        A clock that was set back would let a rest last for as long as it was set back. Set forward, it only
        lets a rest end early.
        """
        back = now - self.at
        if back >= 0:
            return self
        rest, full = self.rest, self.full
        return replace(
            self,
            at=now,
            next_change=self.next_change + back,
            refused_job=None,
            marks=[(at + back, accepted) for at, accepted in self.marks],
            full=None if full is None else (full[0] + back, full[1]),
            rest=None if rest is None else replace(rest, until=rest.until + back, since=rest.since + back),
            levels={name: replace(each, at=each.at + back) for name, each in self.levels.items()},
        )

    @classmethod
    def decode(cls, text: bytes) -> Self | None:
        """Return the state in *text*; None for something else."""
        found = read(cls, text)
        return found if found is not None and found.can_be else None

    @property
    def can_be(self) -> bool:
        """Whether the law can have made it."""
        rates = all(each is None or each > 0 for each in (self.rate, self.rate_before))
        known = (_is_level(name) and each.count > 0 <= each.variance for name, each in self.levels.items())
        return self.limit >= 1 and rates and all(known)


def _is_level(name: str) -> bool:
    return name.isdecimal() and len(name) <= _DIGITS
