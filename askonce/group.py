"""Decides which payloads of a group are enqueued, and how many of them at once."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from askonce.errors import OptionInvalid, Superseded
from askonce.job import new_job_ids
from askonce.options import id_of
from askonce.outcomes import Conflict

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from askonce.claim import Claim
    from askonce.errors import JobError
    from askonce.job import Fingerprint, Key
    from askonce.join import Join
    from askonce.outcomes import Outcome

#: Payloads that are admitted in one round trip, and their bytes; one payload always fits.
ROWS, SIZE = 500, 1 << 20


class Row(NamedTuple):
    """One payload of a group that can be admitted."""

    position: int
    claim: Claim
    join: Join


def ids_of(jobs: Sequence[str] | None, count: int) -> Sequence[str]:
    """Return the id of each new job, drawn at random where there are no *jobs*.

    Raises:
        OptionInvalid: *jobs* are not *count* ids.
    """
    if jobs is None:
        return new_job_ids(count)
    if isinstance(jobs, str) or len(jobs) != count:
        raise OptionInvalid(option="jobs", reason=f"must be one id for each of {count} payloads")
    return [id_of("jobs", each) for each in jobs]


def latest(rows: list[Row]) -> tuple[list[Row], list[tuple[Row, int]]]:
    """Return the rows to enqueue, and those that another payload of their key replaces, with its position."""
    last = {row.claim.job.key: row for row in rows}
    if len(last) == len(rows):
        return rows, []
    kept, replaced = [], []
    for row in rows:
        later = last[row.claim.job.key]
        if row.claim.job.fingerprint == later.claim.job.fingerprint:
            kept.append(row)
        else:
            replaced.append((row, later.position))
    return kept, replaced


def conflicting(
    rows: list[Row], under_way: Callable[[Key], Fingerprint | None], found: dict[int, Outcome | JobError]
) -> list[Row]:
    """Return the rows to enqueue; those that would replace what is *under_way* are Conflicts in *found*."""
    kept = []
    for row in rows:
        job = row.claim.job
        if under_way(job.key) in (None, job.fingerprint):
            kept.append(row)
        else:
            found[row.position] = Conflict(key=job.key)
    return kept


def superseded(
    replaced: Iterable[tuple[Row, int]], outcomes: Mapping[int, Outcome | JobError]
) -> Iterator[tuple[int, Superseded]]:
    """Yield the outcomes of *replaced* rows, which name the job of the later payload where it has one."""
    for row, by in replaced:
        job = getattr(outcomes[by], "job", "")
        yield row.position, Superseded(key=row.claim.job.key, job=job, by=by)


def parts(rows: Iterable[Row]) -> Iterator[list[Row]]:
    """Cut *rows* into what is admitted in one round trip."""
    part: list[Row] = []
    size = 0
    for row in rows:
        size += len(row.claim.job.payload)
        if part and (len(part) >= ROWS or size > SIZE):
            yield part
            part, size = [], len(row.claim.job.payload)
        part.append(row)
    if part:
        yield part
