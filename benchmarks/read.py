"""Read: the cost of an answer beside a bare GET, and the cost of its key."""

from __future__ import annotations

import time
from hashlib import sha256
from statistics import median
from typing import TYPE_CHECKING

import orjson
import redis

from askonce.answer import Codec, Encoded, Ttl, to_result
from askonce.claim import Claim, Terms
from askonce.job import Key, Owner
from askonce.key import identify
from askonce.spec import JobSpec
from askonce.store import Lease
from benchmarks.apps import URL, VALUE, once, payload
from benchmarks.measure import percentile

if TYPE_CHECKING:
    from collections.abc import Callable

    from benchmarks.measure import Table

ROUNDS = 7
CALLS = 1000
_KEYS = 5000


def run(table: Table, *, rounds: int = ROUNDS) -> None:
    """Measure the latency of both reads in turn, then the key."""
    client = redis.Redis.from_url(URL)
    client.set("bench:get", orjson.dumps(VALUE))
    key = _answered()
    store = once.process().store

    def read() -> object:
        record = store.read([key])[0]
        assert record.value is not None
        return to_result(key, record.job, record.value)

    gets, reads = [], []
    for _ in range(rounds):
        bare, ours = _latencies(lambda: client.get("bench:get"), read)
        gets.append(bare)
        reads.append(ours)
    p99 = median(percentile(ours, 99) / percentile(bare, 99) for ours, bare in zip(reads, gets, strict=True))
    p50 = median(percentile(ours, 50) / percentile(bare, 50) for ours, bare in zip(reads, gets, strict=True))
    get = median(median(bare) for bare in gets)
    table.title("Read one answer of 1 KB; ratio to a bare redis-py GET")
    table.line("bare GET, median", _us(get), "x 1.00")
    table.line("askonce, median", _us(median(median(ours) for ours in reads)), f"x {p50:.2f}")
    table.at_most("askonce, 99th percentile of each", p99, 3.0)
    _keys(table, get, rounds)


def _keys(table: Table, get: float, rounds: int) -> None:
    spec = JobSpec(name="bench", key_fields=("order_id",))
    small, large = payload(1), payload(1, 20_000)
    one = median(_seconds(lambda: identify(spec, small)) for _ in range(rounds))
    twenty = [
        (_seconds(lambda: identify(spec, large)), _seconds(lambda: _once(large))) for _ in range(rounds)
    ]
    table.title("Key and fingerprint together")
    table.at_most("1 KB payload, against one GET", one / get, 0.1, _us(one))
    found = median(both / single for both, single in twenty)
    table.line(
        "20 KB, against one dumps and one SHA-256", _us(median(b for b, _ in twenty)), f"x {found:.2f}"
    )


def _once(large: dict[str, object]) -> str:
    return sha256(orjson.dumps(large, option=orjson.OPT_SORT_KEYS)).hexdigest()


def _answered() -> Key:
    store, spec = once.process().store, JobSpec(name="bench.read")
    job = identify(spec, payload(1))
    lease = Lease(job.key, Owner("bench"), 30)
    store.admit(Claim(job, Terms.of(spec)))
    store.start(job, lease)
    data = Codec().encode(VALUE, spec.max_value_bytes)
    store.complete(lease, Encoded(data, b""), Ttl(600, 600))
    return job.key


def _latencies(first: Callable[[], object], second: Callable[[], object]) -> tuple[list[float], list[float]]:
    taken: tuple[list[float], list[float]] = ([], [])
    for _ in range(CALLS):
        for call, into in ((first, taken[0]), (second, taken[1])):
            began = time.perf_counter()
            call()
            into.append(time.perf_counter() - began)
    return taken


def _seconds(call: Callable[[], object]) -> float:
    began = time.perf_counter()
    for _ in range(_KEYS):
        call()
    return (time.perf_counter() - began) / _KEYS


def _us(seconds: float) -> str:
    return f"{seconds * 1e6:.1f} us"
