"""How far a slot has come: what one of its steps leaves for the next one, in another process perhaps.

It may be older than what was done: its worker was killed in between. What is asked for again then costs
nothing, because it has the same key and the same job.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Self

import orjson

if TYPE_CHECKING:
    from askonce.job import JobId, Key

#: Raise it when the form changes: an older position is then none.
_FORM: Final = 1
#: So many jobs are followed at once: with their keys they take 7 KB.
WINDOW: Final = 64


class Planned(NamedTuple):
    """What is about to be enqueued; a worker that is killed leaves open whether it was."""

    job: JobId
    key: Key
    #: Where the query goes on after it, as ``Position.mark``.
    mark: object
    #: The dead letter that is forgotten afterwards.
    letter: Key | None = None

    def encode(self) -> list[object]:
        """Return it without a letter where it has none: workers of an older version read three parts."""
        return list(self if self.letter is not None else self[:3])


@dataclass(slots=True)
class Position:
    """Money in millionths of a dollar, times in seconds since 1970 by the store's clock."""

    #: When the first step began.
    began: float
    #: Which query *mark* is of: a deployment may change the entry meanwhile.
    query: str = ""
    #: Where the query goes on: its own words, in JSON. None is its start.
    mark: object = None
    #: No further job is enqueued sooner.
    due: float = 0.0
    #: How many had which outcome.
    counts: Counter[str] = field(default_factory=Counter)
    #: How many of the jobs that are followed ended how.
    ends: Counter[str] = field(default_factory=Counter)
    #: What the jobs that ended cost, and how much of that was before the entry was resumed last.
    spent: int = 0
    forgiven: int = 0
    #: What the dearest of them cost; None before the first.
    dearest: int | None = None
    #: Attempts whose cost nobody knows.
    unknown: int = 0
    #: The jobs that are followed.
    flight: dict[JobId, Key] = field(default_factory=dict)
    planned: Planned | None = None
    #: A step asks for payloads beyond *mark*. Where the next one finds that, they may have been asked for.
    asking: bool = False
    #: So many steps in a row found nothing to do: each rests longer.
    idle: int = 0
    #: The slot has paused its entry, or was about to, when that had been resumed so often.
    held: int | None = None

    def encode(self) -> str:
        """Return its form for ``Attempt.checkpoint``."""
        fields = {
            "form": _FORM,
            "began": self.began,
            "query": self.query,
            "mark": self.mark,
            "due": self.due,
            "counts": self.counts,
            "ends": self.ends,
            "money": [self.spent, self.forgiven, self.dearest, self.unknown],
            "flight": self.flight,
            "planned": self.planned and self.planned.encode(),
            "asking": self.asking,
            "idle": self.idle,
            "held": self.held,
        }
        return orjson.dumps(fields).decode()

    def go_on_with(self, query: object) -> None:
        """Go on with *query*: at its start, where the entry had another one before."""
        named = sha256(repr(query).encode()).hexdigest()[:16]
        if self.query != named:
            self.query, self.mark = named, None

    @classmethod
    def decode(cls, text: str) -> Self | None:
        """Return what ``encode`` wrote; None where it is damaged or of another version."""
        try:
            found = orjson.loads(text)
            return cls._of(found) if found["form"] == _FORM else None
        except (orjson.JSONDecodeError, LookupError, TypeError, ValueError):
            return None

    @classmethod
    def _of(cls, found: Any) -> Self:  # noqa: ANN401  # what was decoded
        spent, forgiven, dearest, unknown = found["money"]
        return cls(
            began=found["began"],
            query=found["query"],
            mark=found["mark"],
            due=found["due"],
            counts=Counter(found["counts"]),
            ends=Counter(found["ends"]),
            spent=spent,
            forgiven=forgiven,
            dearest=dearest,
            unknown=unknown,
            flight=dict(found["flight"]),
            planned=Planned(*found["planned"]) if found["planned"] else None,
            asking=found["asking"],
            idle=found["idle"],
            held=found["held"],
        )
