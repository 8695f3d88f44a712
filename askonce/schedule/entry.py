"""What is asked anew, when, and within which bounds: one entry of a schedule."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from math import inf
from pathlib import Path
from typing import Final, Literal, get_args

from askonce.schedule.slots import Cron, Every, require_slots, require_within
from askonce.spec import LONGEST, SHORTEST

Overlap = Literal["skip", "queue_one"]
CatchUp = Literal["once", "all", "never"]

#: Characters of an entry's name.
NAME_KEPT: Final = 200
#: Jobs a second: faster than any store enqueues them.
FASTEST: Final = 10_000.0


@dataclass(frozen=True, slots=True, kw_only=True)
class GoingStale:
    """Answers of *task* that go stale before the next slot, and were asked for since they were made.

    Only of a task that keeps its payloads (``JobSpec.keep_payload``).
    """

    task: str
    #: Seconds; None is the time to the next slot.
    within: float | None = None

    def __post_init__(self) -> None:
        """Refuse what cannot work, by name."""
        owner = _owner(self, self.task)
        if self.within is not None:
            require_within(owner, "within", self.within, SHORTEST, LONGEST)


@dataclass(frozen=True, slots=True, kw_only=True)
class DeadLetters:
    """Dead letters of *task* whose cause may have passed: all of them after a release, or some."""

    task: str
    #: Their last failures' reasons; empty for any.
    reasons: tuple[str, ...] = ()
    #: Seconds since they died, at least.
    older_than: float = 0.0

    def __post_init__(self) -> None:
        """Refuse what cannot work, by name."""
        owner, reasons = _owner(self, self.task), _as_given(self.reasons)
        # A text has its letters for reasons, and no dead letter has such a one.
        texts = isinstance(reasons, tuple) and all(isinstance(each, str) for each in reasons)
        _require(owner, "reasons", 'a tuple of texts, such as ("http_503",)', fits=texts)
        require_within(owner, "older_than", self.older_than, 0.0, LONGEST)


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredFile:
    """The rows of a file that each worker can read, as jobs of *task* in the version that the worker has.

    So a new prompt rolls over the rows that are there. A row that was answered within *max_age* seconds costs
    nothing.
    """

    task: str
    #: None: not configured, so the entry is refused by name where it is due.
    path: Path | str | None
    #: Seconds.
    max_age: float | None = None

    def __post_init__(self) -> None:
        """Refuse what cannot work, by name."""
        owner = _owner(self, self.task)
        if self.path is not None:
            _require_path(owner, "path", self.path)
        _require_max_age(owner, self.max_age)


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredRun:
    """The rows of a producer's run, from the journal of that run, which each worker can read."""

    task: str
    journal: Path | str
    #: Seconds.
    max_age: float | None = None

    def __post_init__(self) -> None:
        """Refuse what cannot work, by name."""
        owner = _owner(self, self.task)
        _require_path(owner, "journal", self.journal)
        _require_max_age(owner, self.max_age)


Query = GoingStale | DeadLetters | StoredFile | StoredRun


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """The bounds of one entry."""

    #: Jobs a second that a slot enqueues at most; None for no limit.
    rate: float | None = None
    #: US dollars that the jobs of one slot may cost: at that the entry pauses, until a person resumes it.
    max_cost: float | None = None
    #: What becomes of a slot whose entry has another one under way: nothing, or it waits, one at most.
    overlap: Overlap = "skip"
    #: Which slots fire that passed while no scheduler ran: the last of them, each, or none.
    catch_up: CatchUp = "once"
    #: Whether a slot that fails pauses its entry, until a person resumes it.
    pause_on_failure: bool = False
    #: Count what would be asked, and ask nothing.
    dry_run: bool = False

    def __post_init__(self) -> None:
        """Refuse what cannot work, by name."""
        if self.rate is not None:
            require_within("Policy", "rate", self.rate, 1 / LONGEST, FASTEST)
        if self.max_cost is not None:
            require_within("Policy", "max_cost", self.max_cost, 0.0, inf)
        for name, words in (("overlap", get_args(Overlap)), ("catch_up", get_args(CatchUp))):
            if getattr(self, name) not in words:
                raise ValueError(f"Policy: {name} must be {' or '.join(words)}")
        for name in ("pause_on_failure", "dry_run"):
            _require("Policy", name, "True or False", fits=isinstance(getattr(self, name), bool))


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One line of a schedule."""

    #: What people, logs and metrics show.
    name: str
    at: Every | Cron
    query: Query
    policy: Policy = field(default_factory=Policy)

    def __post_init__(self) -> None:
        """Refuse what cannot work, by name."""
        name = _as_given(self.name)
        fits = isinstance(name, str) and 0 < len(name) <= NAME_KEPT and name.isprintable()
        _require("Entry", "name", f"one printable line of 1 to {NAME_KEPT} characters", fits=fits)
        owner = f"Entry {self.name!r}"
        try:
            require_slots(self.at)
        except (ValueError, ModuleNotFoundError) as error:
            raise type(error)(f"{owner}: {error}") from None
        kinds = " or ".join(kind.__name__ for kind in get_args(Query))
        _require(owner, "query", f"a {kinds}", fits=isinstance(_as_given(self.query), Query))
        _require(owner, "policy", "a Policy", fits=isinstance(_as_given(self.policy), Policy))


def by_name(entries: Iterable[Entry]) -> dict[str, Entry]:
    """Return *entries* by their names.

    Raises:
        ValueError: two have one name; or what is given is no entry, or a single one.
    """
    given = _as_given(entries)
    if not isinstance(given, Iterable):
        raise ValueError(f"schedule: must be a list of entries, not {type(given).__name__}")  # noqa: TRY004  # of a value
    found: dict[str, Entry] = {}
    for entry in entries:
        if not isinstance(entry, Entry):
            raise ValueError(f"schedule: must have entries, not {type(entry).__name__}")  # noqa: TRY004  # of a value
        if entry.name in found:
            raise ValueError(f"schedule: two entries have the name {entry.name!r}")
        found[entry.name] = entry
    return found


def _as_given(value: object) -> object:
    """Return *value* as one of any kind: an app without a type checker passes what it likes."""
    return value


def _owner(query: Query, task: object) -> str:
    """Return the name of *query* for refusals; refuse one whose *task* is no name."""
    kind = type(query).__name__
    _require(kind, "task", "the name of a task", fits=isinstance(task, str) and bool(task))
    return f"{kind} of {task!r}"


def _require(owner: str, name: str, kind: str, *, fits: bool) -> None:
    if not fits:
        raise ValueError(f"{owner}: {name} must be {kind}")


def _require_path(owner: str, name: str, path: object) -> None:
    _require(
        owner, name, "a path", fits=isinstance(path, Path | str) and bool(str(path)) and "\0" not in str(path)
    )


def _require_max_age(owner: str, seconds: float | None) -> None:
    if seconds is not None:
        require_within(owner, "max_age", seconds, 0.0, LONGEST)
