"""What the attempts of a job cost so far, as its record keeps it.

    start ──> earlier attempts + own calls ──> fail: the record keeps the sum for the next attempt
                                         └───> complete: the answer's meta keeps it

An attempt whose worker was lost, or that an older version made, leaves no sum. So each sum says how many
attempts it covers: where that is not all of them, what they cost is unknown.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

import orjson

from askonce.canonical import to_json
from askonce.errors import JobFailed
from askonce.spend import NOTHING, Spend, check

if TYPE_CHECKING:
    from askonce.job import JobId, Key


def encode(job: JobId, attempts: int, spend: Spend) -> bytes:
    """Return the form in which a record keeps what the first *attempts* of *job* cost."""
    fields = {
        "job": job,
        "attempts": attempts,
        "calls": spend.calls,
        "cost_usd": spend.cost_usd,
        "usage": dict(spend.usage),
    }
    # A copy: what orjson returns keeps 4 KB, and a failure may have to wait for its store.
    return memoryview(to_json(fields)).tobytes()


def decode(kept: bytes, job: JobId, attempts: int) -> Spend:
    """Return what the first *attempts* of *job* cost; unknown where *kept* does not cover them."""
    if attempts <= 0:
        return NOTHING
    try:
        found = orjson.loads(kept) if kept else None
    except orjson.JSONDecodeError:
        found = None
    match found:
        case {"job": known, "attempts": covered, **more} if (known, covered) == (job, attempts):
            return check(more.get("usage"), more.get("cost_usd"), calls=more.get("calls", 1)).spend
    return Spend()


def to_error(key: Key, job: JobId, kind: str, reason: str, *, attempts: int, spend: Spend) -> JobFailed:
    """Return the error of a caller whose *job* ended without an answer, after attempts that cost *spend*."""
    return JobFailed(
        key=key,
        job=job,
        kind=kind,
        reason=reason,
        attempts=attempts,
        usage=dict(spend.usage),
        cost_usd=spend.cost_usd,
        calls=spend.calls,
    )
