"""Explains a payload: its key, its job and holder, and whether a call would be made."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click
import orjson

from askonce.cli.standing import hears, holder_of, waits
from askonce.errors import LayoutNewer, PayloadInvalid, RecordDamaged
from askonce.key import identity_of
from askonce.record import Status
from askonce.rows import BadRow, Row, parse_row, read_rows

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from askonce.cli.site import Site
    from askonce.listening import Listening
    from askonce.record import Snapshot
    from askonce.spec import JobSpec

#: A longer identity is shown as its size: it is a whole payload.
_SHOWN_BYTES = 2000


def read_file(name: str, _spec: JobSpec | None = None) -> Iterator[Row | BadRow]:
    """Yield the rows of a file with JSON lines."""
    try:
        with Path(name).open("rb") as stream:
            yield from read_rows(stream)
    except OSError as exc:
        raise click.UsageError(f"{name}: {exc.strerror}") from None


def is_json(what: str) -> bool:
    """Return whether *what* is an object itself, not the name of a file."""
    return what.lstrip().startswith("{")


def rows_of(
    what: str, spec: JobSpec, read: Callable[[str, JobSpec], Iterator[Row | BadRow]] = read_file
) -> Iterator[Row | BadRow]:
    """Yield the payloads of *what*: a JSON object, or what *read* finds under this name."""
    if is_json(what):
        return iter([parse_row(1, what.encode(errors="surrogateescape"))])
    return read(what, spec)


def explain_row(
    site: Site,
    task: str,
    row: Row | BadRow,
    tenant: str,
    heard: Callable[[Snapshot], Listening] | None = None,
) -> dict[str, object]:
    """Return all that the record shows about one payload; never the stored answer.

    *heard* returns whether workers listen for the job of a record; without it each queued row queries
    the store.
    """
    if isinstance(row, BadRow):
        return {"row": row.number, "error": {"field": row.field, "reason": row.reason}}
    spec = site.specs[task]
    try:
        identity = site.identify(task, row.payload, tenant)
    except PayloadInvalid as exc:
        return {"row": row.number, "error": _invalid(exc)}
    try:
        record = site.store.read([identity.key])[0].checked()
    except (LayoutNewer, RecordDamaged) as exc:
        # Of this row's record: the other rows are explained.
        return {"row": row.number, "key": identity.key, "error": {"kind": "unreadable", "reason": str(exc)}}
    fields = identity_of(spec, orjson.loads(identity.payload))
    canonical = fields or identity.payload
    return {
        "row": row.number,
        "task": task,
        "version": spec.version,
        "identity": orjson.loads(canonical) if len(canonical) <= _SHOWN_BYTES else f"{len(canonical)} bytes",
        "identity_is": "key fields" if fields else "the whole payload",
        "key": identity.key,
        "fingerprint": identity.fingerprint,
        **_state(site, record, identity.key),
        "waits": waits(site, record, heard or hears(site)),
        **_verdict(spec, record, identity.fingerprint),
    }


def _invalid(exc: PayloadInvalid) -> dict[str, object]:
    (field, reason), *others = exc.reasons.items()
    return {"field": field, "reason": reason, **({"others": dict(others)} if others else {})}


def _state(site: Site, record: Snapshot, key: str) -> dict[str, object]:
    in_flight = record.flight != "idle"
    return {
        "state": record.status.value,
        "job": record.job or None,
        "holder": holder_of(record) or None,
        "lease_left_seconds": record.deadline_in if record.flight == "running" else None,
        "queue_deadline_seconds": record.deadline_in if record.flight == "queued" else None,
        "attempts": record.attempts,
        "resent": record.resent if in_flight else 0,
        "answer_age_seconds": record.value.age if record.value else None,
        "failure": _failure(site, record, key),
    }


def _failure(site: Site, record: Snapshot, key: str) -> dict[str, object] | None:
    if record.failure is None:
        return None
    kind, reason, spend = record.failure.kind, record.failure.reason, record.failure.spend
    # A job that goes on needs nobody to ask again.
    again = kind if record.flight == "idle" else ""
    cost = {"cost_usd": spend.cost_usd, "usage": dict(spend.usage)}
    return {"kind": kind, "reason": reason, "cure": site.cure_of(reason, kind=again, key=key), **cost}


def _verdict(spec: JobSpec, record: Snapshot, fingerprint: str) -> dict[str, object]:
    call, why = _would_call(spec, record, fingerprint)
    return {"would_call": call, "why": why}


def _would_call(spec: JobSpec, record: Snapshot, fingerprint: str) -> tuple[bool, str]:
    if record.fingerprint not in ("", fingerprint):
        if spec.on_mismatch == "conflict":
            return False, "the key belongs to another payload, and the task refuses that"
        return True, "the key has another payload's answer, which this one replaces"
    if record.value is not None and record.value.fresh:
        return False, "a fresh answer is there"
    if record.flight != "idle":
        if record.paused is not None:
            return False, "an equal job is in flight and paused; this one would attach to it"
        return _would_resend(spec, record)
    if record.status in (Status.FAILED, Status.QUARANTINED):
        return False, "a failure is kept for this payload"
    if record.wait > 0:
        return False, f"the key rests for {record.wait:.1f} s after a failure"
    return True, "the answer is stale" if record.value is not None else "nothing is known"


def _would_resend(spec: JobSpec, record: Snapshot) -> tuple[bool, str]:
    if not record.lost:
        return False, "an equal job is in flight; this one would attach to it"
    if record.flight == "running" and record.attempts >= spec.retry.max_attempts:
        return False, "the last attempt's worker was lost; the job would be quarantined"
    return True, "an equal job is in flight but its time ran out; it would be sent again"
