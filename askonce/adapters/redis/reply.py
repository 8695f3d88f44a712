"""The layout of what the scripts return: written once here, for Python and for Lua.

Each class is one part of a reply. A field's annotation holds the Lua expression that fills it; ``lua_parts``
makes one Lua function of each class from them.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple, Self, cast, get_type_hints

from askonce import bill
from askonce.answer import Meta, StoredValue
from askonce.due import GoingStale
from askonce.errors import JobError, LayoutNewer, RecordDamaged
from askonce.job import Fingerprint, Job, JobId, Key, Owner, Routing
from askonce.letters import DeadJob
from askonce.lost import Lost
from askonce.record import Failure, Parked, Snapshot, ended_at

if TYPE_CHECKING:
    from collections.abc import Iterable

    from askonce.record import FailureOrFallback, Flight


class _FlightPart(NamedTuple):
    """The outcome, and the record's flight; ``r`` is the loaded record. Times in milliseconds.

    ``_read`` takes it apart itself, which costs less for each row of a group.
    """

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
    left: Annotated[int, "r.sx - NOW"]


class _FailurePart(NamedTuple):
    """Why the last run gave no answer; ``got`` holds what it cost, the fallback's bytes and its meta."""

    kind: Annotated[bytes, "r.ek"]
    reason: Annotated[bytes, "r.er"]
    job: Annotated[bytes, "r.ej"]
    remaining: Annotated[int, "r.ex - NOW"]
    spent: Annotated[bytes, "got[1] or ''"]
    data: Annotated[bytes, "got[2] or ''"]
    meta: Annotated[bytes, "got[3] or ''"]


class _MorePart(NamedTuple):
    """What few replies have; ``got`` holds the run, and what the attempts so far cost."""

    parked: Annotated[bytes, "r.pk"]
    paused: Annotated[bytes, "r.paused and '=' .. r.paused or ''"]
    ignored: Annotated[bytes, "r.ignored or ''"]
    ask: Annotated[bytes, "outcome == 'resend' and r.ask or ''"]
    run: Annotated[bytes, "got[1] or ''"]
    spent: Annotated[bytes, "outcome == 'granted' and got[2] or ''"]


class _OwnPart(NamedTuple):
    """What only ``read`` returns; ``got`` holds the run, until when the record is kept, and ``iv``."""

    task: Annotated[bytes, "r.task"]
    fingerprint: Annotated[bytes, "r.fp"]
    owner: Annotated[bytes, "r.own"]
    ask: Annotated[bytes, "r.ask"]
    run: Annotated[bytes, "got[1] or ''"]
    lost: Annotated[int, "r.fl ~= 'idle' and is_lost(r) and 1 or 0"]
    due_at: Annotated[int, "r.nx"]
    kept_until: Annotated[int, "r.vf == 0 and tonumber(got[2]) or 0"]
    removed_at: Annotated[int, "tonumber(got[3] or 0)"]


class _LostPart(NamedTuple):
    """One job that ``reap`` hands out; ``got`` holds its payload and its run."""

    key: Annotated[bytes, "string.sub(r.key, -64)"]
    job: Annotated[bytes, "r.job"]
    fingerprint: Annotated[bytes, "r.fp"]
    task: Annotated[bytes, "r.task"]
    resent: Annotated[int, "r.rep"]
    now: Annotated[int, "NOW"]
    ask: Annotated[bytes, "r.ask"]
    parked: Annotated[int, "r.pk ~= '' and 1 or 0"]
    payload: Annotated[bytes, "got[1] or ''"]
    run: Annotated[bytes, "got[2] or ''"]


class _DeadPart(NamedTuple):
    """One quarantined job; ``got`` holds its run, its history, its cost and, on request, its payload."""

    task: Annotated[bytes, "r.task"]
    fingerprint: Annotated[bytes, "r.fp"]
    job: Annotated[bytes, "r.ej"]
    reason: Annotated[bytes, "r.er"]
    attempts: Annotated[int, "r.att"]
    since: Annotated[int, "r.ex - QUARANTINE_KEPT"]
    until: Annotated[int, "r.ex"]
    ask: Annotated[bytes, "r.ask"]
    run: Annotated[bytes, "got[1] or ''"]
    history: Annotated[bytes, "got[2] or ''"]
    spent: Annotated[bytes, "got[3] or ''"]
    payload: Annotated[bytes, "got[4] or ''"]


class _DuePart(NamedTuple):
    """One answer that goes stale; ``got`` holds its payload."""

    key: Annotated[bytes, "string.sub(r.key, -64)"]
    ask: Annotated[bytes, "r.ask"]
    age: Annotated[int, "NOW - r.vt"]
    stale_in: Annotated[int, "r.sx - NOW"]
    payload: Annotated[bytes, "got[1] or ''"]


_PARTS = (_FlightPart, _ValuePart, _FailurePart, _MorePart, _OwnPart, _LostPart, _DeadPart, _DuePart)
#: Lines that the store writes before what the admission brought: attempts, queue deadline, admission, expiry.
_STORES_OWN = 4
DAMAGE = ValueError, TypeError  # bytes that are no text; a reply that ends where no number was


def lua_parts() -> str:
    """Return one Lua function for each part, such as ``flight_part(outcome, r, got)``."""
    return "".join(map(_lua_part, _PARTS))


def _lua_part(part: Any) -> str:  # noqa: ANN401  # a NamedTuple class has no common type
    name = re.sub(r"(?<!^)(?=[A-Z])", "_", part.__name__.lstrip("_")).lower()
    hints = get_type_hints(part, include_extras=True)
    fields = ", ".join(hints[field].__metadata__[0] for field in part._fields)
    return f"local function {name}(outcome, r, got) return {{{fields}}} end\n"


_ABSENT = Snapshot()


class Brought(NamedTuple):
    """What an admission brought, as the record keeps it; ``lua/record.lua`` names the lines."""

    tenant: str = ""
    model: str = ""
    version: str = ""
    routing: Routing = Routing()
    tags: tuple[str, ...] = ()
    admitted_at: int = 0

    def encode(self) -> str:
        """Return the caller's part."""
        routing = self.routing
        priority = "" if routing.priority is None else routing.priority
        own = f"{self.tenant}\n{self.model}\n{self.version}\n"
        lines = f"{own}{routing.queue}\n{priority}\n{routing.limits}\n{routing.headers}"
        return "\n".join((lines, *self.tags)) if self.tags else lines

    @classmethod
    def decode(cls, data: bytes) -> Self:
        """Read a record's whole field; an empty one brought nothing."""
        if not data:
            return cls()
        lines = data.decode().split("\n")
        tenant, model, version, queue, priority, limits, headers, *tags = lines[_STORES_OWN:]
        hard, _, soft = limits.partition(",")
        routing = Routing(
            queue=queue,
            priority=int(priority) if priority else None,
            time_limit=float(hard) if hard else None,
            soft_time_limit=float(soft) if soft else None,
            headers=headers,
        )
        return cls(tenant, model, version, routing, tuple(tags), int(lines[2]))


def read(key: Key, reply: list[Any]) -> tuple[bytes, Snapshot]:
    """Return the outcome, and the record of *key* as the script left it.

    Raises:
        RecordDamaged: something else wrote to it.
    """
    try:
        return _read(reply)
    except DAMAGE as error:
        raise RecordDamaged(key=key, reason=type(error).__name__) from None


def _read(reply: list[Any]) -> tuple[bytes, Snapshot]:
    """Return the outcome, and the record as the script left it; absent where the script disclosed nothing.

    *reply* comes from ``lua/reply.lua``: the flight alone, or with value, failure and more, each empty where
    there is none; or the outcome alone.
    """
    if isinstance(reply[0], bytes):
        return reply[0], _ABSENT
    outcome, now, flight, job, fence, deadline_in, attempts, resent, wait, checkpoint = reply[0]
    # By position: a record is read for every row of a group, and names take three times as long.
    seen = Snapshot(
        True,  # noqa: FBT003  # present
        now,
        _ABSENT.task,
        _ABSENT.fingerprint,
        cast("Flight", flight.decode()),
        JobId(job.decode()),
        _ABSENT.owner,
        fence,
        deadline_in / 1000,
        attempts,
        resent,
        wait / 1000 if wait > 0 else 0.0,
        checkpoint.decode(),
    )
    return outcome, seen if len(reply) == 1 else _with_others(seen, outcome, *reply[1:])


def _with_others(
    seen: Snapshot, outcome: bytes, value: list[Any], failure: list[Any], more: list[Any]
) -> Snapshot:
    """Return *seen* with the parts of the reply beside its flight."""
    if value or failure:
        seen = seen._replace(
            value=_value(_ValuePart._make(value), seen.now) if value else None,
            failure=_failure(_FailurePart._make(failure), seen) if failure else None,
        )
    return _with_more(seen, outcome, _MorePart._make(more)) if more else seen


def _with_more(seen: Snapshot, outcome: bytes, more: _MorePart) -> Snapshot:
    if outcome == b"granted":
        seen = seen._replace(spent=bill.decode(more.spent, seen.job, seen.attempts - 1))
    if more.ask:
        seen = _with_ask(seen, more.ask, more.run)
    return seen._replace(
        parked=_parked(more.parked.decode(), seen.now) if more.parked else None,
        paused=more.paused[1:].decode() if more.paused else None,
    )


def ignored_of(reply: list[Any]) -> tuple[str, ...]:
    """Return the options that ``admit`` did not take."""
    more = reply[3] if len(reply) > 1 else None
    return tuple(_MorePart._make(more).ignored.decode().split()) if more else ()


def _parked(text: str, now: int) -> Parked:
    since, times, reason = text.split(" ", 2)
    return Parked(reason, (now - int(since)) / 1000, int(times))


def _with_ask(seen: Snapshot, ask: bytes, run: bytes) -> Snapshot:
    brought = Brought.decode(ask)
    return seen._replace(
        routing=brought.routing,
        run=run.decode(),
        tenant=brought.tenant,
        model=brought.model,
        version=brought.version,
        admitted_at=brought.admitted_at,
        tags=brought.tags,
    )


def to_full_snapshot(key: Key, reply: list[Any] | JobError) -> Snapshot:
    """Return the record with what only ``read`` returns, or with the error that stands in its place."""
    if isinstance(reply, JobError):
        return Snapshot(present=True, error=reply)
    try:
        return _to_full_snapshot(reply)
    except DAMAGE as error:
        return Snapshot(present=True, error=RecordDamaged(key=key, reason=type(error).__name__))


def _to_full_snapshot(reply: list[Any]) -> Snapshot:
    bare, own_part, late = reply
    _, seen = _read(bare)
    if not seen.present:
        return seen
    own = _OwnPart._make(own_part)
    seen = _with_ask(seen, own.ask, own.run) if own.ask else seen
    return seen._replace(
        task=own.task.decode(),
        fingerprint=Fingerprint(own.fingerprint.decode()),
        owner=Owner(own.owner.decode()),
        lost=own.lost == 1,
        due_at=own.due_at / 1000,
        ended_at=ended_at(seen, due_at=own.due_at, kept_until=own.kept_until),
        late=_value(_ValuePart._make(late), seen.now) if late else None,
        removed_at=own.removed_at,
    )


def _value(part: _ValuePart, now: int) -> StoredValue:
    return StoredValue(
        data=part.data,
        meta=Meta.decode(part.meta),
        fence=part.fence,
        stored_at=part.stored_at / 1000,
        age=(now - part.stored_at) / 1000,
        fresh_for=part.left / 1000 if part.fresh else 0.0,
        stale_for=max(0.0, -part.left / 1000),
    )


def _failure(part: _FailurePart, seen: Snapshot) -> Failure:
    now, job = seen.now, JobId(part.job.decode())
    fallback = _value(_ValuePart(part.data, part.meta, 0, now, 0, 0), now) if part.data else None
    return Failure(
        kind=cast("FailureOrFallback", part.kind.decode()),
        reason=part.reason.decode(),
        job=job,
        remaining=part.remaining / 1000,
        fallback=fallback,
        # Of the attempts that have ended: all but the one under way.
        spend=bill.decode(part.spent, job, seen.attempts - (seen.flight == "running")),
    )


def to_lost(reply: list[Any]) -> Lost | RecordDamaged:
    """Return one job that ``reap`` handed out, or why it cannot be sent."""
    key = Key(reply[0].decode(errors="replace"))
    if len(reply) == 1:
        return RecordDamaged(key=key, reason="unreadable")
    try:
        lost = _LostPart._make(reply)
        return Lost(_job(key, lost, lost.payload), lost.resent, lost.now, parked=bool(lost.parked))
    except DAMAGE as error:
        return RecordDamaged(key=key, reason=type(error).__name__)


def _job(key: Key, part: _LostPart | _DeadPart, payload: bytes) -> Job:
    brought = Brought.decode(part.ask)
    return Job(
        key=key,
        id=JobId(part.job.decode()),
        fingerprint=Fingerprint(part.fingerprint.decode()),
        task=part.task.decode(),
        payload=payload,
        version=brought.version,
        tenant=brought.tenant,
        model=brought.model,
        run=part.run.decode(),
        routing=brought.routing,
        admitted_at=brought.admitted_at,
        tags=brought.tags,
    )


def to_going_stale(reply: list[Any]) -> GoingStale:
    """Return one answer that goes stale.

    Raises:
        ValueError, TypeError: something else wrote to its record.
    """
    due = _DuePart._make(reply)
    brought, key = Brought.decode(due.ask), Key(due.key.decode())
    return GoingStale(key, brought.tenant, brought.version, due.payload, due.age / 1000, due.stale_in / 1000)


def to_dead_job(key: Key, reply: list[Any] | JobError) -> DeadJob | None:
    """Return a quarantined job; None where the key has none. Of one that cannot be read the key is known."""
    if isinstance(reply, JobError):
        newer = isinstance(reply, LayoutNewer)
        return DeadJob.unreadable(key, "layout_newer" if newer else "record_damaged")
    try:
        return _dead_job(key, _DeadPart._make(reply)) if reply else None
    except DAMAGE:
        return DeadJob.unreadable(key, "record_damaged")


def _dead_job(key: Key, dead: _DeadPart) -> DeadJob:
    return DeadJob(
        job=_job(key, dead, dead.payload),
        reason=dead.reason.decode(),
        attempts=dead.attempts,
        spend=bill.decode(dead.spent, JobId(dead.job.decode()), dead.attempts),
        history=tuple(dead.history.decode(errors="replace").split()),
        since=dead.since / 1000,
        until=dead.until / 1000,
    )


def pairs_of(reply: Any) -> Iterable[tuple[bytes, bytes]]:  # noqa: ANN401  # by the protocol's version
    """Return the names and values of a whole hash: a map, or a flat list in the older protocol."""
    return reply.items() if isinstance(reply, dict) else zip(reply[::2], reply[1::2], strict=True)
