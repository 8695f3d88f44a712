"""Reaper: what a long queue costs in messages, and what a sweep over many lost jobs costs other clients.

Time is simulated: the scripts read their clock from a key.
"""

from __future__ import annotations

import random
import time
from collections import deque
from statistics import median
from typing import TYPE_CHECKING, Any, Literal

from redis import Redis

from askonce.adapters.redis import RedisStore
from askonce.adapters.redis.link import ServerLink
from askonce.answer import Encoded, Ttl
from askonce.enqueue import Producer
from askonce.job import Job, Owner, Routing
from askonce.lost import Delivered, Lost
from askonce.message import Message
from askonce.reaper import Reaper
from askonce.record import BUCKETS
from askonce.store import Lease, Start
from benchmarks.apps import URL, once, once_noop, payload
from benchmarks.measure import percentile
from benchmarks.pings import Pings

if TYPE_CHECKING:
    from benchmarks.measure import Table

JOBS = 20_000
_SPEC = once_noop.job_spec
#: Simulated seconds: no worker takes a message, and then the sweeps of the workers that drain the queue.
_ABSENT, _SWEEP = 8 * 3600.0, 5.0
#: Simulated seconds between two sweeps, and two duplicates, while no worker takes a message.
_LOOK = 60.0
#: Simulated seconds of one job.
_CALL = 0.01
_LOST_JOBS, _LOST_SIZE = 10_000, 20_000


def run(table: Table, *, jobs: int = JOBS) -> None:
    """Measure a long queue of so many *jobs*; then a sweep over lost jobs."""
    with Redis.from_url(URL) as client:
        client.flushdb()
        _LongQueue(table, client, jobs).run()
        client.flushdb()
        _sweep(table, client)
        client.flushdb()


class Clock:
    """The clock of the stores with these scripts' source *lua*."""

    lua = "local function clock() return tonumber(redis.call('GET', 'bench:clock')) end\n"

    def __init__(self, client: Redis) -> None:
        self._client = client
        # Beyond 2100, in microseconds: the server has its own clock, and removes nothing by that.
        self._micros = 4_102_444_800_000_000
        self.advance(0)

    def advance(self, seconds: float) -> None:
        self._micros += round(seconds * 1_000_000)
        self._client.set("bench:clock", self._micros)


class Queue:
    """A queue that keeps its order, in this process; it is the way to the workers."""

    more_urgent: Literal["<", ">"] = "<"

    def __init__(self) -> None:
        self.waiting: deque[Message] = deque()
        self.sent = 0
        self._newest = 0

    def route(self, job: Job, *_: object, **__: object) -> Routing:
        return job.routing._replace(queue="bench", priority=0)

    def send(self, message: Message) -> None:
        self.waiting.append(message)
        self.sent += 1

    def send_again(self, lost: Lost) -> None:
        self.send(Message(lost.job, sent_at=lost.sent_at))

    def deliver(self) -> Message:
        message = self.waiting.popleft()
        self._newest = message.sent_at
        return message

    def delivered(self) -> list[Delivered]:
        """Return what a worker of this queue reports; nothing while it has none."""
        if not self._newest:
            return []
        return [Delivered("bench", 0, sent_at=self._newest)] if self.waiting else _all_delivered()


def _all_delivered() -> list[Delivered]:
    return [Delivered("bench", seconds=0)]


class _LongQueue:
    """Many jobs that wait for hours, and then are done one by one."""

    def __init__(self, table: Table, client: Redis, jobs: int) -> None:
        self._table, self._jobs, self._clock, self._queue = table, jobs, Clock(client), Queue()
        self._store = RedisStore(client, namespace="long", clock=Clock.lua)
        self._producer = Producer(store=self._store, sender=self._queue)
        self._reaper = Reaper(self._store, self._queue.send_again, delivered=self._queue.delivered)
        self._base, self._calls = payload(0), 0
        self._sweeps: list[float] = []

    def run(self) -> None:
        for number in range(self._jobs):
            self._enqueue(number)
        self._wait()
        self._drain()
        hours = f"{_ABSENT / 3600:.0f} h"
        self._table.title(
            f"{self._jobs:,} jobs of 1 KB, no worker for {hours}, a duplicate a minute; then all are done"
        )
        self._table.within("messages a job", self._queue.sent / self._jobs, 1.0, "", digits=2)
        self._table.within("calls a job", self._calls / self._jobs, 1.0, "", digits=2)
        longest = f"longest {max(self._sweeps) * 1000:.0f} ms"
        self._table.line("one sweep meanwhile, median", f"{median(self._sweeps) * 1000:.0f} ms", longest)

    def _enqueue(self, number: int) -> None:
        self._producer.enqueue(_SPEC, {**self._base, "order_id": f"A-{number}"})

    def _enqueue_duplicate(self) -> None:
        self._enqueue(random.randrange(self._jobs))

    def _wait(self) -> None:
        for _ in range(round(_ABSENT / _LOOK)):
            self._clock.advance(_LOOK)
            began = time.perf_counter()
            self._reaper.sweep(range(BUCKETS))
            self._sweeps.append(time.perf_counter() - began)
            self._enqueue_duplicate()

    def _drain(self) -> None:
        done, each_sweep, each_duplicate = 0, round(_SWEEP / _CALL), round(_LOOK / _CALL)
        while self._queue.waiting:
            self._work(self._queue.deliver())
            self._clock.advance(_CALL)
            done += 1
            if done % each_sweep == 0:
                self._reaper.sweep(range(BUCKETS))
            if done % each_duplicate == 0:
                self._enqueue_duplicate()

    def _work(self, message: Message) -> None:
        lease = Lease(message.job.key, Owner("bench"), 30)
        if self._store.start(message.job, lease).outcome is Start.GRANTED:
            self._calls += 1
            self._store.complete(lease, Encoded(b"{}", b""), Ttl(86_400, 86_400))


class Watched(ServerLink):
    """A link that notes the largest reply of one script."""

    def __init__(self, client: Redis) -> None:
        super().__init__(client)
        self.jobs, self.bytes = 0, 0

    def ask(self, *commands: tuple[Any, ...], always: bool = False) -> list[Any]:
        replies = super().ask(*commands, always=always)
        for reply in replies:
            if isinstance(reply, list):
                self.jobs = max(self.jobs, len(reply))
                self.bytes = max(self.bytes, _size(reply))
        return replies


def _size(reply: Any) -> int:
    """Return how many bytes *reply* was on its way."""
    match reply:
        case list():
            return 3 + len(str(len(reply))) + sum(map(_size, reply))
        case bytes():
            return 5 + len(str(len(reply))) + len(reply)
    return 3 + len(str(reply))


def _sweep(table: Table, client: Redis) -> None:
    clock, link, queue = Clock(client), Watched(client), Queue()
    store = RedisStore(link, namespace="sweep", clock=Clock.lua)
    producer, base = Producer(store=store, sender=queue), payload(0, _LOST_SIZE)
    with Pings(URL) as before:
        for number in range(_LOST_JOBS):
            producer.enqueue(_SPEC, {**base, "order_id": f"A-{number}"})
    clock.advance(_ABSENT)
    link.jobs, link.bytes = 0, 0
    reaper = Reaper(store, _send, delivered=_all_delivered)
    with Pings(URL) as meanwhile:
        began = time.perf_counter()
        found = reaper.sweep(range(BUCKETS))
        seconds = time.perf_counter() - began
    table.title(f"One sweep over {_LOST_JOBS:,} lost jobs of {_LOST_SIZE // 1000} KB")
    table.line("the whole sweep", f"{seconds:.1f} s", f"{found:,} jobs sent again")
    table.within("largest reply of one script", link.jobs, 25, "jobs")
    table.within("  its size", link.bytes / 1024, 1024, "KiB")
    p50, p99 = _percentiles(meanwhile)
    table.line("PING of another client, median", f"{p50:.2f} ms", f"{len(meanwhile.seconds):,} of them")
    table.within("  99th percentile", p99, 10, "ms", digits=2)
    p50, p99 = _percentiles(before)
    table.line("  while the jobs were enqueued", f"{p50:.2f} ms", f"99th percentile {p99:.2f} ms")


def _send(lost: Lost) -> None:
    # To the broker on the same server, as in production.
    once.sender.send(Message(lost.job, sent_at=lost.sent_at))


def _percentiles(pings: Pings) -> tuple[float, float]:
    """Return median and 99th percentile in milliseconds."""
    return percentile(pings.seconds, 50) * 1000, percentile(pings.seconds, 99) * 1000
