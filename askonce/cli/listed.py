"""Which jobs a list shows, and what it shows of each."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from askonce.cli.moments import moment
from askonce.cli.standing import (
    IN_FLIGHT,
    State,
    holder_of,
    is_lost,
    is_resting,
    reason_of,
    since_of,
    state_of,
)
from askonce.flights import Names
from askonce.record import BUCKETS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from askonce.job import Key
    from askonce.record import Snapshot
    from askonce.store import Store

#: Records of one round trip, keys, and jobs that the store looks at: it serves no one else meanwhile.
_RECORDS_AT_ONCE, _KEYS_AT_ONCE, _LOOKS_AT_ONCE = 200, 20_000, 4_000


class Listed(NamedTuple):
    """One job in a list."""

    key: Key
    record: Snapshot

    @property
    def state(self) -> State:
        """The job's state."""
        return state_of(self.record)

    @property
    def is_lost(self) -> bool:
        """Whether no worker has the job and no message is on its way, although one should be."""
        return is_lost(self.record)

    @property
    def about(self) -> str:
        """Where it runs, or why it does not, in few words."""
        record = self.record
        if record.error is not None:
            return type(record.error).__name__
        if record.paused is not None and record.flight == "queued":
            return record.paused
        lost = "lost" if self.is_lost else ""
        cancelled = "cancelled" if record.is_cancelled else ""
        verb = "rests" if is_resting(record) else "starts in"
        due = f"{verb} {record.wait:.0f} s" if record.flight == "queued" and record.wait > 0 else ""
        reason = "" if record.is_cancelled else reason_of(record)
        return ", ".join(filter(None, (holder_of(record), cancelled, lost, due, reason)))

    def shown(self) -> dict[str, object]:
        """Return the job for programs; never its payload or its answer."""
        record, since = self.record, since_of(self.record)
        routing = record.routing
        return {
            "key": self.key,
            "state": self.state.value,
            "since": moment(since) if since else None,
            "task": record.task,
            "version": record.version,
            "tenant": record.tenant,
            "run": record.run,
            "model": record.model,
            "queue": routing.queue if routing else "",
            "priority": routing.priority if routing else None,
            "job": record.job or None,
            "holder": holder_of(record) or None,
            "attempts": record.attempts,
            "resent": record.resent,
            "wait_seconds": record.wait,
            "lost": self.is_lost,
            "paused": record.paused if record.flight == "queued" else None,
            "reason": reason_of(record),
        }

    def detailed(self, why: str) -> dict[str, object]:
        """Return all that is known of the job, for programs and people; *why* says how it stands."""
        record, shown = self.record, self.shown()
        value, failure = record.value, record.failure
        spend = value.meta.spend if value is not None else failure.spend if failure is not None else None
        known = {name: shown.pop(name) for name in ("key", "task", "state", "since")}
        return {
            **known,
            "why": why,
            **shown,
            "admitted": moment(record.admitted_at / 1000) if record.admitted_at else None,
            "lease_left_seconds": record.deadline_in if record.flight == "running" else None,
            "answer_age_seconds": value.age if value is not None else None,
            "failure": failure.kind if failure is not None else None,
            "cost_usd": spend.cost_usd if spend is not None else None,
            "usage": dict(spend.usage) if spend is not None else {},
        }


class Wanted(NamedTuple):
    """Which jobs a command means."""

    states: frozenset[State] = frozenset()
    task: str | None = None
    tenant: str | None = None
    run: str | None = None
    reason: str | None = None
    since: float | None = None

    def fits(self, job: Listed) -> bool:
        """Return whether *job* is meant; what is not named does not count."""
        record = job.record
        reason = reason_of(record)
        return (
            job.state in (self.states or State)
            and self.task in (None, record.task)
            and self.tenant in (None, record.tenant)
            and self.run in (None, record.run)
            # What stands behind @ is a place: who names all timeouts means each of them.
            and self.reason in (None, reason, reason.partition("@")[0])
            and (self.since is None or since_of(record) >= self.since)
        )


class Keys(NamedTuple):
    """The keys that a command looks at."""

    #: How many; None where that is unknown before the end.
    total: int | None
    steps: Iterator[list[Key]]


def indexed_keys(store: Store, means: Wanted) -> Keys:
    """Return the keys of the jobs in flight and in quarantine that may be meant."""
    states, names = means.states, Names(means.task, means.tenant, means.run)
    if any(name is not None for name in names) and states != {State.DEAD}:
        # The store looks at each job, which costs less than to read it.
        groups = _groups(store.flights.counts(), _LOOKS_AT_ONCE)
        return Keys(None, (store.flights.find(buckets, names) for buckets in groups))
    dead = [key for key, _ in store.letters.dead_jobs()] if not states or State.DEAD in states else []
    counts = store.flights.counts() if not states or states & IN_FLIGHT else [0] * BUCKETS

    def steps() -> Iterator[list[Key]]:
        yield dead
        for buckets in _groups(counts, _KEYS_AT_ONCE):
            yield store.flights.keys(buckets)

    return Keys(len(dead) + sum(counts), steps())


def all_keys(store: Store) -> Keys:
    """Return the keys of all records."""
    return Keys(None, store.flights.walk())


def _groups(counts: list[int], most: int) -> Iterator[list[int]]:
    """Yield the buckets in groups with so many jobs in flight at *most*, or of one bucket."""
    group, size = list[int](), 0
    for bucket, count in enumerate(counts):
        if group and size + count > most:
            yield group
            group, size = [], 0
        group.append(bucket)
        size += count
    yield group


def each_once(jobs: Iterator[Listed]) -> Iterator[Listed]:
    """Yield each of *jobs* once: a server that resizes its table of keys meanwhile shows some again."""
    seen: set[Key] = set()
    for job in jobs:
        if job.key not in seen:
            seen.add(job.key)
            yield job


def jobs_of(store: Store, keys: Keys, report: Callable[[int], None] = lambda _done: None) -> Iterator[Listed]:
    """Yield the job of each of *keys*, as they are read; one that has ended meanwhile is left out.

    *report* gets how many were looked at.
    """
    looked_at = 0
    for step in keys.steps:
        for first in range(0, len(step), _RECORDS_AT_ONCE):
            some = step[first : first + _RECORDS_AT_ONCE]
            found = zip(some, store.flights.show(some), strict=True)
            yield from (Listed(key, record) for key, record in found if record.present)
            looked_at += len(some)
            report(looked_at)
