"""A claim as the arguments of the scripts around ``lua/admit.lua``, and what they return."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from askonce.adapters.redis.reply import Brought, ignored_of, read
from askonce.errors import JobError, RecordDamaged
from askonce.store import Admission, Reply

if TYPE_CHECKING:
    from askonce.claim import Claim
    from askonce.job import Key

# Looked up by the bytes of the reply: calling the enum would decode and search.
_ADMISSIONS = {outcome.value.encode(): outcome for outcome in Admission}

#: How ``admit`` is told what of a record does not answer: nothing of it, or no failure.
_FORCED, _RETRIED = 1, 2


def milliseconds(seconds: float) -> int:
    """Return *seconds* as the scripts count them."""
    return int(seconds * 1000)


def arguments(claim: Claim) -> tuple[bytes | str | int, ...]:
    """Return what ``admit`` is called with."""
    job, terms = claim
    return (
        job.id,
        job.fingerprint,
        job.task,
        job.payload,
        milliseconds(terms.queue_deadline),
        terms.max_attempts,
        terms.on_mismatch,
        _FORCED if terms.force else _RETRIED if terms.retry else 0,
        -1 if terms.max_age is None else milliseconds(terms.max_age),
        0 if terms.expires is None else max(1, milliseconds(terms.expires)),
        milliseconds(terms.countdown),
        Brought(job.tenant, job.model, job.version, job.routing, job.tags).encode(),
        " ".join(terms.chosen),
        job.run,
        int(terms.reject),
        milliseconds(terms.stale_while_revalidate),
    )


def to_admission(key: Key, reply: list[Any], *, pushes: bool = False) -> Reply[Admission]:
    """Return what ``admit`` decided; *pushes* where the message of a new job was sent in the same step.

    Raises:
        RecordDamaged: something else wrote to the record.
    """
    outcome, record = read(key, reply)
    admission = _ADMISSIONS[outcome]
    return Reply(admission, record, pushes and admission is Admission.ADMITTED, ignored_of(reply))


def to_admission_or_error(
    key: Key, reply: list[Any] | JobError, *, pushes: bool = False
) -> Reply[Admission] | JobError:
    """Return what ``admit`` decided for one job of many, or why its record cannot be used."""
    if isinstance(reply, JobError):
        return reply
    try:
        return to_admission(key, reply, pushes=pushes)
    except RecordDamaged as damaged:
        return damaged
