"""Scrape: what a reading of the metrics costs the server, and the memory of the process that serves them."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from contextlib import closing, contextmanager
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Final
from urllib.error import URLError
from urllib.request import urlopen

from redis import Redis

from askonce.adapters.redis import RedisStore
from askonce.announcements import KEPT_FOR_AT_MOST, Announcement
from askonce.claim import Claim, Terms
from askonce.job import Fingerprint, Job, JobId, Key
from askonce.record import BOUNDS, BUCKETS
from benchmarks.apps import NAMESPACE, URL
from sandbox.server import free_port
from tasks.catalog import TASKS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from benchmarks.measure import Table

RECORDS: Final = 1_000_000
_WORKERS, _TENANTS, _DAYS, _READINGS, _GROUP = 100, 3, 2, 20, 1000
#: Days before those, which are folded into the sum of all days from every bucket.
_FOLDED = 365
#: Milliseconds of the server's time for a reading, megabytes of the process, and its growth.
_MOST, _MOST_MEMORY, _MOST_GROWTH = 50, 100, 1.05
#: What the jobs of one tenant count in each bucket, and the runs of one task.
_OF_TENANT: Final = (
    *("admitted", "attached", "hit", "done", "failed", "calls", "micro_usd", "avoided_micro_usd"),
    *("tokens:input_tokens", "tokens:output_tokens"),
)
_OF_RUNS: Final = (
    *(f"{what}:{round(bound * 1000)}" for what in ("wait", "run") for bound in BOUNDS[::2]),
    *("wait_ms", "run_ms", "restarted", "parked", "copy"),
)


def run(table: Table, *, jobs: int = RECORDS) -> None:
    """Measure readings after a year, beside so many *jobs* in flight and the counters of two days."""
    with (
        Redis.from_url(URL, socket_timeout=None) as client,
        closing(RedisStore(client, namespace=NAMESPACE)) as store,
    ):
        client.flushdb()
        _admit(store, jobs)
        folded, counters = _fold(client, store), _count(client)
        _announce(store)
        about = f"{jobs:,} jobs in flight, {_WORKERS} workers, {counters:,} counters, {_FOLDED} days folded"
        table.title(f"Scrape of the metrics: {about}")
        table.line("  fields of the sum of all days", f"{folded:,}", "counters and marks")
        _measure(table, client)
        client.execute_command("FLUSHDB", "SYNC")


def _admit(store: RedisStore, jobs: int) -> None:
    terms = Terms(queue_deadline=86_400, max_attempts=3)
    for first in range(0, jobs, _GROUP):
        keys = (sha256(str(number).encode()).hexdigest() for number in range(first, first + _GROUP))
        named = [Job(Key(key), JobId(key[:32]), Fingerprint(key), "orders.enrich", b"{}") for key in keys]
        list(store.admit_many([Claim(job, terms) for job in named]))


def _fold(client: Redis, store: RedisStore) -> int:
    """Count on each day of a year in every bucket, and fold it; return how many fields are left."""
    last = _today() - _DAYS
    counted = _names(last) + [f"{last - ago}\norders.enrich\n\n\nadmitted" for ago in range(1, _FOLDED)]
    _write(client, counted)
    store.tally.fold()
    return int(client.hlen(f"{{askonce:{NAMESPACE}:tally}}:total"))


def _count(client: Redis) -> int:
    """Write counters of the last days; return how many."""
    names = [name for ago in range(_DAYS) for name in _names(_today() - ago)]
    _write(client, names)
    return len(names) * BUCKETS


def _today() -> int:
    return int(time.time() // 86_400)


def _names(day: int) -> list[str]:
    """Return counters as the scripts name them."""
    return [
        f"{day}\n{task.name}\n{tenant}\n{what}"
        for task in TASKS
        for tenant, counted in (("\n", _OF_RUNS), *((f"t{n}\ngpt", _OF_TENANT) for n in range(_TENANTS)))
        for what in counted
    ]


def _write(client: Redis, names: list[str]) -> None:
    for bucket in range(BUCKETS):
        client.hset(f"{{askonce:{NAMESPACE}:b{bucket:02x}}}:tally", mapping=dict.fromkeys(names, 12_345))


def _announce(store: RedisStore) -> None:
    tasks = {task.name: "1" for task in TASKS}
    for number in range(_WORKERS):
        worker = Announcement(worker=f"w{number}@host:1", tasks=tasks, queues=("askonce",), slots=64)
        store.announcements.announce(worker, KEPT_FOR_AT_MOST)


def _measure(table: Table, client: Redis) -> None:
    with _served() as (port, pid):
        # The first readings make what the later ones use again.
        for _ in range(3):
            _scrape(port)
        before, memory = _server_seconds(client), _memory(pid)
        seconds = [_scrape(port) for _ in range(_READINGS)]
        used, after = _server_seconds(client) - before, _memory(pid)
    table.within("server's time for a reading", used / _READINGS * 1000, _MOST, "ms", digits=1)
    table.line("  until the scrape is answered", f"{sorted(seconds)[_READINGS // 2] * 1000:.0f} ms", "median")
    table.within("memory of the process", after / 1e6, _MOST_MEMORY, "MB")
    table.at_most(f"  beside that {_READINGS} readings before", after / memory, _MOST_GROWTH)


@contextmanager
def _served() -> Iterator[tuple[int, int]]:
    """Start the metrics process; yield its port and its id."""
    port = free_port()
    own = {"REDIS_URL": f"{URL}?socket_timeout=30", "CELERY_BROKER_URL": URL, "ENV_FILE": ""}
    environment = {**os.environ, **own, "ASKONCE_NAMESPACE": NAMESPACE}
    command = [sys.executable, "-m", "worker", "metrics", "--serve", f"127.0.0.1:{port}"]
    with subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL) as process:
        try:
            _wait_for(port)
            yield port, process.pid
        finally:
            process.terminate()


def _wait_for(port: int) -> None:
    for _ in range(100):
        try:
            _scrape(port)
        except URLError:
            continue
        return
    raise RuntimeError("the metrics process does not answer")


def _scrape(port: int) -> float:
    """Scrape once a new reading is due; return how long it took."""
    time.sleep(1.01)  # noqa: TID251  # a text is served again for a second
    began = time.perf_counter()
    with urlopen(f"http://127.0.0.1:{port}/metrics") as answer:
        text = answer.read()
    if b"\naskonce_store_up 1.0\n" not in text:
        raise RuntimeError("the reading has no numbers of the store")
    return time.perf_counter() - began


def _server_seconds(client: Redis) -> float:
    used = client.info("cpu")
    return float(used["used_cpu_user"]) + float(used["used_cpu_sys"])


def _memory(pid: int) -> int:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmRSS"))
