"""Due: what finding the answers that go stale costs, and invalidating all of a task, beside many records."""

from __future__ import annotations

import time
from contextlib import closing
from secrets import token_hex
from statistics import median
from typing import TYPE_CHECKING, Final

from redis import Redis

from askonce.adapters.redis import RedisStore
from askonce.answer import Encoded, Ttl
from askonce.claim import Claim, Terms
from askonce.controls import Mark
from askonce.job import Key, Owner
from askonce.key import identify
from askonce.lost import Budget
from askonce.record import BUCKETS
from askonce.store import Lease
from benchmarks.apps import NAMESPACE, URL, once_noop, payload

if TYPE_CHECKING:
    from collections.abc import Callable

    from benchmarks.measure import Table

RECORDS: Final = 1_000_000
_DUE, _FEWER, _AT_ONCE, _ROUNDS = 1_000, 100, 1_000, 9
#: Seconds for which most answers are fresh, and for which those that are due are.
_LATER, _SOON = 86_400.0, 300.0
#: Times that a hundred times as many records may cost, and milliseconds that a mark may take.
_MOST, _MARK = 1.5, 5.0
_SPEC = once_noop.job_spec


def run(table: Table, *, jobs: int = RECORDS) -> None:
    """Measure a look at what goes stale, and a sweep, beside few and beside many *jobs* with answers."""
    with (
        Redis.from_url(URL, socket_timeout=None) as client,
        closing(RedisStore(client, namespace=NAMESPACE)) as store,
    ):
        client.flushdb()
        soon, later = _answered(store, 0, _SOON), _answered(store, 1, _LATER)
        _copy(client, soon, _DUE - 1)
        _copy(client, later, jobs // _FEWER)
        few = _looks(store)
        _copy(client, later, jobs - jobs // _FEWER)
        many = _looks(store)
        table.title(f"Answers that go stale: {_DUE:,} of {jobs:,}, beside {_DUE:,} of {jobs // _FEWER:,}")
        for name, seconds in many.items():
            table.at_most(name, seconds / few[name], _MOST, f"{seconds * 1000:.1f} ms")
        mark = median(_timed(lambda: store.controls.mark(Mark("task", "others"))) for _ in range(_ROUNDS))
        table.within("invalidate all of a task", mark * 1000, _MARK, "ms", digits=1)
        client.execute_command("FLUSHDB", "SYNC")


def _looks(store: RedisStore) -> dict[str, float]:
    """Return the seconds of a look of a schedule, and of one of the reaper at all records."""

    def find() -> None:
        if len(store.due.going_stale(range(BUCKETS), _SPEC.name, _SOON + 60)) != _DUE:
            raise RuntimeError("not all of the answers that go stale were found")

    return {
        "find them, with their payloads": median(_timed(find) for _ in range(_ROUNDS)),
        "the reaper's look, nothing due": median(
            _timed(lambda: store.reap(range(BUCKETS), (), Budget(jobs=100, size=1 << 20)))
            for _ in range(_ROUNDS)
        ),
    }


def _timed(call: Callable[[], object]) -> float:
    began = time.perf_counter()
    call()
    return time.perf_counter() - began


def _answered(store: RedisStore, number: int, fresh: float) -> Key:
    """Make a record with an answer that somebody asked for."""
    job = identify(_SPEC, payload(number))
    lease, claim = Lease(job.key, Owner("bench"), 30.0), Claim(job, Terms.of(_SPEC))
    store.admit(claim)
    store.start(job, lease)
    store.complete(lease, Encoded(b"x" * 1000, b""), Ttl(fresh, _LATER), keep_payload=True)
    store.admit(claim)
    return job.key


def _copy(client: Redis, key: Key, copies: int) -> None:
    """Copy the record of *key*, and its place in the index, to other keys."""
    record, at = client.dump(_name(key)), client.zscore(_index(key), key)
    assert record is not None
    assert at is not None
    for first in range(0, copies, _AT_ONCE):
        pipeline = client.pipeline(transaction=False)
        for _ in range(min(_AT_ONCE, copies - first)):
            other = Key(token_hex(32))
            pipeline.restore(_name(other), int(_LATER * 1000), record)
            pipeline.zadd(_index(other), {other: at})
        pipeline.execute()


def _index(key: Key) -> str:
    return f"{{askonce:{NAMESPACE}:b{key[:2]}}}:due"


def _name(key: Key) -> str:
    return f"{{askonce:{NAMESPACE}:b{key[:2]}}}:rec:{key}"
