"""The layout of what the scripts return: written once here, for Python and for Lua.

Each class is one part of a reply. A field's annotation holds the Lua expression that fills it; ``lua_parts``
makes one Lua function of each class from them.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple, cast, get_type_hints

from askonce.answer import Meta, StoredValue
from askonce.job import Fingerprint, Job, JobId, Key, Owner, split_edition
from askonce.letters import DeadJob
from askonce.record import Failure, Snapshot
from askonce.store import Lost

if TYPE_CHECKING:
    from askonce.record import FailureOrFallback, Flight


class _FlightPart(NamedTuple):
    """The outcome, and the record's flight; ``r`` is the loaded record. Times in milliseconds."""

    outcome: Annotated[bytes, "outcome"]
    now: Annotated[int, "NOW"]
    flight: Annotated[bytes, "r.fl"]
    job: Annotated[bytes, "r.job"]
    fence: Annotated[int, "r.fen"]
    deadline_in: Annotated[int, "r.dl - NOW"]
    attempts: Annotated[int, "r.att"]
    resent: Annotated[int, "r.rep"]
    wait: Annotated[int, "r.nx - NOW"]
    checkpoint: Annotated[bytes, "r.ref"]


class _ValuePart(NamedTuple):
    """The answer; ``got`` holds its bytes and its meta."""

    data: Annotated[bytes, "got[1] or ''"]
    meta: Annotated[bytes, "got[2] or ''"]
    fence: Annotated[int, "r.vf"]
    stored_at: Annotated[int, "r.vt"]
    fresh: Annotated[int, "is_fresh(r) and 1 or 0"]


class _FailurePart(NamedTuple):
    """Why the last run gave no answer; ``got`` holds the fallback's bytes and its meta."""

    kind: Annotated[bytes, "r.ek"]
    reason: Annotated[bytes, "r.er"]
    job: Annotated[bytes, "r.ej"]
    remaining: Annotated[int, "r.ex - NOW"]
    data: Annotated[bytes, "got[1] or ''"]
    meta: Annotated[bytes, "got[2] or ''"]


class _OwnPart(NamedTuple):
    """What only ``read`` returns."""

    task: Annotated[bytes, "r.task"]
    fingerprint: Annotated[bytes, "r.fp"]
    owner: Annotated[bytes, "r.own"]


class _LostPart(NamedTuple):
    """One job that ``reap`` queued again; ``got`` holds its payload and its edition."""

    key: Annotated[bytes, "string.sub(r.key, -64)"]
    job: Annotated[bytes, "r.job"]
    fingerprint: Annotated[bytes, "r.fp"]
    task: Annotated[bytes, "r.task"]
    resent: Annotated[int, "r.rep"]
    payload: Annotated[bytes, "got[1] or ''"]
    edition: Annotated[bytes, "got[2] or ''"]


class _DeadPart(NamedTuple):
    """One quarantined job; ``got`` holds its edition, its history and, on request, its payload."""

    task: Annotated[bytes, "r.task"]
    fingerprint: Annotated[bytes, "r.fp"]
    job: Annotated[bytes, "r.ej"]
    reason: Annotated[bytes, "r.er"]
    attempts: Annotated[int, "r.att"]
    since: Annotated[int, "r.ex - QUARANTINE_KEPT"]
    until: Annotated[int, "r.ex"]
    edition: Annotated[bytes, "got[1] or ''"]
    history: Annotated[bytes, "got[2] or ''"]
    payload: Annotated[bytes, "got[3] or ''"]


_PARTS = (_FlightPart, _ValuePart, _FailurePart, _OwnPart, _LostPart, _DeadPart)


def lua_parts() -> str:
    """Return one Lua function for each part, such as ``flight_part(outcome, r, got)``."""
    return "".join(map(_lua_part, _PARTS))


def _lua_part(part: Any) -> str:  # noqa: ANN401  # a NamedTuple class has no common type
    name = re.sub(r"(?<!^)(?=[A-Z])", "_", part.__name__.lstrip("_")).lower()
    hints = get_type_hints(part, include_extras=True)
    fields = ", ".join(hints[field].__metadata__[0] for field in part._fields)
    return f"local function {name}(outcome, r, got) return {{{fields}}} end\n"


_ABSENT = Snapshot()


def read(reply: list[Any]) -> tuple[bytes, Snapshot]:
    """Return the outcome, and the record as the script left it; absent where the script disclosed nothing.

    *reply* comes from ``lua/reply.lua``: the flight, then value and failure, each empty where there is none;
    or the outcome alone.
    """
    if len(reply) == 1:
        return reply[0], _ABSENT
    flight_part, value, failure = reply
    flight = _FlightPart._make(flight_part)
    return flight.outcome, Snapshot(
        present=True,
        flight=cast("Flight", flight.flight.decode()),
        job=JobId(flight.job.decode()),
        fence=flight.fence,
        deadline_in=flight.deadline_in / 1000,
        attempts=flight.attempts,
        resent=flight.resent,
        wait=flight.wait / 1000 if flight.wait > 0 else 0.0,
        checkpoint=flight.checkpoint.decode(),
        value=_value(_ValuePart._make(value), flight.now) if value else None,
        failure=_failure(_FailurePart._make(failure), flight.now) if failure else None,
    )


def to_full_snapshot(reply: list[Any]) -> Snapshot:
    """Return the record with what only ``read`` returns."""
    bare, own_part = reply
    _, seen = read(bare)
    if not seen.present:
        return seen
    own = _OwnPart._make(own_part)
    return seen._replace(
        task=own.task.decode(),
        fingerprint=Fingerprint(own.fingerprint.decode()),
        owner=Owner(own.owner.decode()),
    )


def _value(part: _ValuePart, now: int) -> StoredValue:
    return StoredValue(
        data=part.data,
        meta=Meta.decode(part.meta),
        fence=part.fence,
        stored_at=part.stored_at / 1000,
        age=(now - part.stored_at) / 1000,
        fresh=part.fresh == 1,
    )


def _failure(part: _FailurePart, now: int) -> Failure:
    fallback = _value(_ValuePart(part.data, part.meta, 0, now, 0), now) if part.data else None
    return Failure(
        kind=cast("FailureOrFallback", part.kind.decode()),
        reason=part.reason.decode(),
        job=JobId(part.job.decode()),
        remaining=part.remaining / 1000,
        fallback=fallback,
    )


def to_lost(reply: list[Any]) -> Lost:
    """Return one job that ``reap`` queued again."""
    lost = _LostPart._make(reply)
    version, tenant = split_edition(lost.edition.decode())
    job = Job(
        key=Key(lost.key.decode()),
        id=JobId(lost.job.decode()),
        fingerprint=Fingerprint(lost.fingerprint.decode()),
        task=lost.task.decode(),
        payload=lost.payload,
        version=version,
        tenant=tenant,
    )
    return Lost(job, lost.resent)


def to_dead_job(key: Key, reply: list[Any]) -> DeadJob | None:
    """Return a quarantined job; None where the key has none."""
    if not reply:
        return None
    dead = _DeadPart._make(reply)
    version, tenant = split_edition(dead.edition.decode())
    job = Job(
        key=key,
        id=JobId(dead.job.decode()),
        fingerprint=Fingerprint(dead.fingerprint.decode()),
        task=dead.task.decode(),
        payload=dead.payload,
        version=version,
        tenant=tenant,
    )
    return DeadJob(
        job=job,
        reason=dead.reason.decode(),
        attempts=dead.attempts,
        history=tuple(dead.history.decode(errors="replace").split()),
        since=dead.since / 1000,
        until=dead.until / 1000,
    )
