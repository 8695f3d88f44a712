"""The port to run records: who runs which batch now, and how far it is, for those who watch.

A producer holds the name of its run, and writes how far it is with each renewal. A hold that is not renewed
ends by itself, so that another producer may go on with the run. No job depends on a record: what a run has
enqueued, and what was answered, is known elsewhere.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, NamedTuple, Protocol, cast, get_args

import orjson

if TYPE_CHECKING:
    from collections.abc import Mapping

#: How a run ended, or that it goes on. One that says so without a living holder was left by its producer.
RunState = Literal["running", "done", "stopped", "cancelled", "failed"]
Fact = int | float | str
#: Seconds for which a record is kept after its last change.
RUN_KEPT = 30 * 86_400.0
#: So many records are kept, the newest first.
RUNS_KEPT = 1_000
#: Bytes of the facts of one record.
FACTS_KEPT = 4 << 10
#: Characters of a name, a task, a holder and a reason.
NAME_KEPT = 200
#: The longest time in seconds for which a hold lasts without a renewal.
HELD_AT_MOST = 3_600.0


@dataclass(frozen=True, slots=True, kw_only=True)
class RunRecord:
    """One run as its producer last described it. It never holds a payload."""

    name: str
    task: str
    #: Its producer: a name for people, then what no other has.
    holder: str
    state: RunState
    #: By the store's clock, in seconds since 1970: when its last producer began, and its last change.
    started: float
    updated: float
    #: Whether its producer's hold is alive.
    alive: bool
    #: Why the run was asked to stop; empty where it was not.
    stop: str = ""
    #: Counts and costs, as the producer names them.
    facts: Mapping[str, Fact] = field(default_factory=dict)


class Hold(NamedTuple):
    """What a producer that claims or renews a run learns."""

    #: Whether the run is the caller's. If not, nothing was changed.
    taken: bool
    #: Who has the run.
    holder: str
    #: Seconds until that hold ends without a renewal.
    seconds: float
    #: Why the run was asked to stop since its producer began; empty where it was not.
    stop: str = ""


class Runs(Protocol):
    """The run records of one store. All verbs are one round trip, and raise StoreUnavailable."""

    def hold(self, name: str, holder: str, ttl: float, task: str, facts: Mapping[str, Fact]) -> Hold:
        """Claim the run of this name for *ttl* seconds, or renew the claim, and describe the run.

        A claim is refused while another *holder* has the run. A new claim forgets earlier wishes to stop.

        Raises:
            ValueError: *name*, *holder*, *task*, *ttl* or *facts* cannot be kept.
        """

    def release(self, name: str, holder: str, state: RunState, facts: Mapping[str, Fact]) -> bool:
        """End the run and keep its record; return False, and change nothing, where another has the run.

        Raises:
            ValueError: *facts* cannot be kept.
        """

    def ask_to_stop(self, name: str, why: str) -> bool:
        """Ask the run's producer to stop: it learns that by its next renewal.

        Return False where no living producer has the run.
        """

    def get(self, name: str) -> RunRecord | None:
        """Return the record of one run."""

    def list(self) -> list[RunRecord]:
        """Return the records, the last changed first; a damaged record is left out."""


def named(holder: str) -> str:
    """Return the name that people know a *holder* by: what comes before its last word, where it has two."""
    return holder.rsplit(" ", 1)[0]


def require_name(what: str, name: str) -> str:
    """Return *name*.

    Raises:
        ValueError: it is empty, too long, or cannot be shown on a terminal.
    """
    if not 0 < len(name) <= NAME_KEPT or not name.isprintable():
        raise ValueError(f"the {what} must be 1 to {NAME_KEPT} printable characters")
    return name


def require_hold(name: str, holder: str, ttl: float, task: str) -> None:
    """Raise ValueError where a store may not keep a hold of these."""
    for what, text in (("name of a run", name), ("holder of a run", holder), ("task of a run", task)):
        require_name(what, text)
    if not 0 < ttl <= HELD_AT_MOST:
        raise ValueError(f"a run is held for more than 0 and at most {HELD_AT_MOST:g} seconds")


def encode_facts(facts: Mapping[str, Fact], *, owner: str = "a run", most: int = FACTS_KEPT) -> bytes:
    """Return *facts* as a JSON object.

    Raises:
        ValueError: they are more than *most* bytes, or a value is neither a number nor a text.
    """
    for name, value in facts.items():
        if not isinstance(value, int | float | str) or isinstance(value, bool):
            raise ValueError(f"the fact {name!r} of {owner} must be a number or a text")  # noqa: TRY004  # of a value
    encoded = orjson.dumps(dict(facts))
    if len(encoded) > most:
        raise ValueError(f"the facts of {owner} have {len(encoded)} bytes, and {most} are kept")
    return encoded


def decode_record(
    *,
    name: str,
    task: str,
    holder: str,
    state: str,
    times: tuple[float, float],
    alive: bool,
    stop: str,
    facts: bytes,
) -> RunRecord | None:
    """Return the record of these fields; None where something else wrote them."""
    try:
        known = orjson.loads(facts)
    except orjson.JSONDecodeError:
        return None
    if not isinstance(known, dict) or state not in get_args(RunState) or not name.isprintable():
        return None
    started, updated = times
    return RunRecord(
        name=name,
        task=task,
        holder=holder,
        state=cast("RunState", state),
        started=started,
        updated=updated,
        alive=alive,
        stop=stop,
        facts={key: value for key, value in known.items() if isinstance(value, int | float | str)},
    )
