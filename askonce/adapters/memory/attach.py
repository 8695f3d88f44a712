"""What a second caller's options change; the rules of ``lua/attach.lua``."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from askonce.adapters.memory.record import MemoryRecord
    from askonce.claim import Claim, Terms
    from askonce.job import Routing


def attach(record: MemoryRecord, claim: Claim, now: float) -> tuple[tuple[str, ...], bool]:
    """Change *record* by what *claim* brings.

    Return what was not taken, and whether a message must be sent.
    """
    job, terms = claim
    ignored = [*_fixed(record.routing, job.routing, terms)]
    if not _take_expiry(record, terms, now):
        ignored.append("expires")
    taken, starts = _take_start(record, terms, now)
    if not taken:
        ignored.append("countdown")
    raised = _take_priority(record, job.routing.priority, terms)
    if raised is False:
        ignored.append("priority")
    resend = starts or (raised is True and record.flight == "queued" and record.sent_at is not None)
    record.shared = record.shared or job.run != record.run
    if record.failed is not None and record.is_cancelled(now):
        # Its new caller wants the answer.
        record.failed.until = 0.0
    return tuple(ignored), resend


def _fixed(own: Routing, other: Routing, terms: Terms) -> list[str]:
    differs = {
        "queue": other.queue != own.queue,
        "limits": other.limits != own.limits,
        "headers": other.headers != own.headers,
    }
    return [name for name, different in differs.items() if different and name in terms.chosen]


def _take_expiry(record: MemoryRecord, terms: Terms, now: float) -> bool:
    wanted = None if terms.expires is None else now + terms.expires
    if record.expires_at is None:
        return wanted is None
    if wanted is None or wanted > record.expires_at:
        record.expires_at = wanted
        return True
    return wanted == record.expires_at


def _take_start(record: MemoryRecord, terms: Terms, now: float) -> tuple[bool, bool]:
    """Return whether the start was taken, and whether the job starts now."""
    wanted, delayed = now + terms.countdown, record.is_delayed(now)
    if delayed and wanted < record.not_before:
        record.deadline = wanted
        record.not_before = wanted if terms.countdown > 0 else 0.0
        return True, terms.countdown <= 0
    return terms.countdown <= 0 or (delayed and wanted == record.not_before), False


def _take_priority(record: MemoryRecord, wanted: int | None, terms: Terms) -> bool | None:
    """Return whether a chosen priority was taken; None where none was chosen or it is the same."""
    direction = next((name[-1] for name in terms.chosen if name.startswith("priority")), "")
    if not direction or wanted == record.routing.priority:
        return None
    new, old = wanted or 0, record.routing.priority or 0
    if new > old if direction == ">" else new < old:
        record.routing = record.routing._replace(priority=wanted)
        return True
    return False
