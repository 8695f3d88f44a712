"""Looks at every row before a run: what is answered, what is to be called, and what that will cost."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING, Final

import orjson

from askonce.errors import JobError, PayloadInvalid
from askonce.key import identify
from askonce.record import Status
from askonce.rows import BadRow
from producer.bill.words import lines_of
from producer.progress.amounts import amount
from producer.run.again import Again

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Iterator, Mapping

    from askonce.job import Job
    from askonce.record import Snapshot
    from askonce.rows import Row
    from askonce.spec import JobSpec
    from askonce.store import Store
    from producer.bill.estimate import Estimate, Range
    from producer.bill.meter import Meter

#: Records that are read in one round trip.
_GROUP: Final = 500
#: States in which a key has a kept failure.
_FAILED: Final = frozenset({Status.FAILED, Status.QUARANTINED})


@dataclass(slots=True, kw_only=True)
class Forecast:
    """What a run would do; nothing is enqueued for it."""

    spec: JobSpec
    store: Store
    meter: Meter
    tenant: str = ""
    #: Which rows are asked for again.
    again: Again = field(default_factory=Again)
    #: Which rows have their end in the journal.
    has_end: Callable[[int], bool] = lambda _row: False
    now: Callable[[], float] = time.time
    rows: int = 0
    invalid: int = 0
    distinct: int = 0
    #: Of the distinct rows those whose key an earlier row has with other content.
    replacing: int = 0
    answered: int = 0
    in_flight: int = 0
    to_call: int = 0
    #: Bytes of all rows that are to be called, as a pilot compares them; and of the first of them, by row.
    size: int = 0
    pilot: int = 0
    first: dict[int, int] = field(default_factory=dict)
    #: Rows that a pilot has called at an earlier start; their bytes are in the second one.
    called: Collection[int] = ()
    _sizes_of_called: dict[int, int] = field(default_factory=dict)
    #: The last content of each key.
    _contents: dict[int, int] = field(default_factory=dict)

    def look(self, rows: Iterable[Row | BadRow]) -> None:
        """Look at each of *rows*.

        Raises:
            StoreUnavailable: the store did not answer.
        """
        jobs = self._distinct(rows)
        while group := list(islice(jobs, _GROUP)):
            records = self.store.read([job.key for _, job in group])
            for (row, job), record in zip(group, records, strict=True):
                self._add(row, job, record)

    def size_of(self, row: int) -> int | None:
        """Return the bytes of a row of the pilot; None for another one."""
        return self.first.get(row, self._sizes_of_called.get(row))

    @property
    def estimate(self) -> Estimate:
        """What the rows that are to be called will use and cost."""
        return self.meter.estimate()

    @property
    def lines(self) -> list[str]:
        """The forecast in words."""
        counts = (
            (self.invalid, "invalid"),
            (self.distinct, "distinct"),
            (self.answered, "already answered"),
            (self.in_flight, "in flight"),
            (self.to_call, "to be called"),
        )
        line = f"{amount(self.rows, 'row')}: {', '.join(f'{number:,} {name}' for number, name in counts)}"
        more = (
            f"{self.replacing:,} with the key of an earlier row and other content: counted, may be superseded"
        )
        return [line, *([more] if self.replacing else []), *lines_of(self.estimate)]

    def to_dict(self) -> dict[str, object]:
        """Return the forecast for programs, with dollars to their millionths."""
        estimate = self.estimate
        ranges: Mapping[str, object] = {
            name: None if (value := getattr(estimate, name)) is None else _rounded(value)
            for name in ("calls", "input_tokens", "output_tokens", "cost_usd")
        }
        counts = {
            name: getattr(self, name)
            for name in ("rows", "invalid", "distinct", "replacing", "answered", "in_flight", "to_call")
        }
        return {**counts, **ranges, "basis": estimate.basis}

    def _distinct(self, rows: Iterable[Row | BadRow]) -> Iterator[tuple[int, Job]]:
        """Yield the first row of each key, and each whose content replaces that of its key, with its job."""
        for row in rows:
            self.rows += 1
            job = None if isinstance(row, BadRow) else self._identify(row)
            if job is None:
                self.invalid += 1
                continue
            # Half of the digest tells a billion keys apart, in a quarter of the memory.
            key, content = int(job.key[:16], 16), self._content_of(job)
            known = self._contents.get(key)
            if known != content:
                self._contents[key] = content
                self.distinct += 1
                self.replacing += known is not None
                yield row.number, job

    def _content_of(self, job: Job) -> int:
        # Where a task refuses other content under a key, the first one stands for the key.
        return int(job.fingerprint[:16], 16) if self.spec.on_mismatch == "replace" else 0

    def _identify(self, row: Row) -> Job | None:
        try:
            return identify(self.spec, row.payload, self.tenant)
        except PayloadInvalid:
            return None

    def _add(self, row: int, job: Job, record: Snapshot) -> None:
        if row in self.called:
            self._sizes_of_called[row] = self.meter.size(job.payload)
        if self.has_end(row) or self._is_answered(row, job, record):
            self.answered += 1
        elif record.error is None and record.flight != "idle" and record.fingerprint == job.fingerprint:
            self.in_flight += 1
        else:
            payload = orjson.loads(job.payload)
            size = self.meter.size(payload)
            self.to_call += 1
            self.size += size
            self.meter.add(payload)
            if len(self.first) < self.pilot:
                self.first[row] = size

    def _is_answered(self, row: int, job: Job, record: Snapshot) -> bool:
        if isinstance(record.error, JobError) or record.fingerprint not in ("", job.fingerprint):
            return False
        value, (retries_failure, not_before) = record.value, self.again.of(row)
        if value is not None and value.fresh and (not_before is None or value.age <= self.now() - not_before):
            return True
        return record.status in _FAILED and not retries_failure


def _rounded(numbers: Range) -> dict[str, float]:
    return {name: round(number, 6) for name, number in numbers._asdict().items()}
