"""What the attempts of a job cost so far, as its record keeps it.

    start ──> earlier attempts + own calls ──> fail: the record keeps the sum for the next attempt
                                         └───> complete: the answer's meta keeps it

An attempt whose worker was lost, or that an older version made, leaves no sum. So each sum says how many
attempts it covers: where that is not all of them, what they cost is unknown.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import orjson

from askonce.canonical import to_json
from askonce.errors import JobFailed
from askonce.spend import NOTHING, Spend, of_fields, to_fields

if TYPE_CHECKING:
    from collections.abc import Mapping

    from askonce.job import JobId, Key


def encode(job: JobId, attempts: int, spend: Spend) -> bytes:
    """Return the form in which a record keeps what the first *attempts* of *job* cost."""
    fields = {"job": job, "attempts": attempts, "calls": spend.calls, **to_fields(spend)}
    # A copy: what orjson returns keeps 4 KB, and a failure may have to wait for its store.
    return memoryview(to_json(fields)).tobytes()


def decode(kept: bytes, job: JobId, attempts: int) -> Spend:
    """Return what the first *attempts* of *job* cost; unknown where *kept* does not cover them.

    A lease that was given back is no attempt, and may have caused other jobs' calls: also the first one.
    """
    try:
        found = orjson.loads(kept) if kept else None
    except orjson.JSONDecodeError:
        found = None
    match found:
        case {"job": known, "attempts": covered} if (known, covered) == (job, attempts):
            return of_fields(cast("Mapping[str, object]", found))
    return Spend() if attempts > 0 else NOTHING


def to_error(key: Key, job: JobId, kind: str, reason: str, *, attempts: int, spend: Spend) -> JobFailed:
    """Return the error of a caller whose *job* ended without an answer, after attempts that cost *spend*."""
    cost = {"usage": dict(spend.usage), "cost_usd": spend.cost_usd, "calls": spend.calls, **to_fields(spend)}
    return JobFailed(key=key, job=job, kind=kind, reason=reason, attempts=attempts, **cost)


def spend_of(failed: JobFailed) -> Spend:
    """Return what the attempts of a job cost that ended without an answer."""
    return of_fields({**failed.data, "calls": failed.calls})
