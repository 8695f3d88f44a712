"""Worker: the speed of draining a queue, beside plain Celery on the same pool."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from statistics import median
from threading import Event
from typing import TYPE_CHECKING, Any

import redis

from askonce.answer import Codec, Encoded, Ttl
from askonce.claim import Claim, Terms
from askonce.job import Owner
from askonce.key import identify
from askonce.message import Message
from askonce.store import Lease
from benchmarks.apps import (
    URL,
    VALUE,
    app,
    once,
    once_call,
    once_noop,
    once_paced,
    payload,
    plain,
    plain_call,
    plain_stored,
)
from benchmarks.measure import interleaved, ratio

if TYPE_CHECKING:
    from collections.abc import Callable

    from benchmarks.measure import Contestant, Table

ROUNDS = 5
JOBS = 2000
_POOLS = {"prefork": ("-P", "prefork", "-c", "2"), "threads": ("-P", "threads", "-c", "32")}
#: For calls of 50 ms: the default pool.
_CALL_POOL = ("-P", "threads", "-c", "64")
_PATIENCE = 120.0
#: The transport in celeryconfig.py, instead of kombu's own.
SHIPPED = "askonce.adapters.kombu.redis:Transport"


def run(table: Table, *, rounds: int = ROUNDS) -> None:
    """Measure no-ops on two pools, then calls of 50 ms."""
    for pool, options in _POOLS.items():
        _noops(table, pool, options, rounds)
    figures = interleaved(
        {
            "plain": drain(send_plain(plain_call), _CALL_POOL),
            "askonce": drain(send_new(once_call), _CALL_POOL, SHIPPED),
            "paced": drain(send_new(once_paced), _CALL_POOL, SHIPPED),
            "stock": drain(send_new(once_call), _CALL_POOL),
        },
        rounds,
    )
    seconds = {name: f"{JOBS / median(rates):.2f} s" for name, rates in figures.items()}
    table.title(f"{JOBS} calls of 50 ms, threads of 64; ratio of the times")
    table.line("plain", seconds["plain"], "x 1.00")
    table.at_most("askonce", 1 / ratio(figures, "askonce", "plain"), 1.05, seconds["askonce"])
    paced = ratio(figures, "askonce", "paced")
    table.at_most("  the same in the pace of a provider", paced, 1.02, seconds["paced"])
    on_stock = f"x {1 / ratio(figures, 'stock', 'plain'):.2f}"
    table.line("  the same on kombu's stock transport", seconds["stock"], on_stock)


def _noops(table: Table, pool: str, options: tuple[str, ...], rounds: int) -> None:
    figures = interleaved(
        {
            "plain": drain(send_plain(plain), options),
            "stored": drain(send_plain(plain_stored), options),
            "computed": drain(send_new(once_noop), options, SHIPPED),
            "cached": drain(_send_answered(once_noop), options, SHIPPED),
            "stock": drain(send_new(once_noop), options),
        },
        rounds,
    )
    rate = {name: f"{median(rates):,.0f}/s" for name, rates in figures.items()}
    stored = ratio(figures, "stored", "plain")
    table.title(f"{JOBS} no-op jobs, {' '.join(options)}; ratio to plain Celery without results")
    table.line("plain, results off", rate["plain"], "x 1.00")
    table.line("plain, 1 KB result stored", rate["stored"], f"x {stored:.2f}")
    goal = 0.9 if pool == "prefork" else 0.75
    computed = ratio(figures, "computed", "plain")
    table.at_least("askonce, computed, 1 KB kept", computed, goal, rate["computed"])
    table.at_least("  the same against results stored", computed / stored, 1.0)
    table.line(
        "  the same on kombu's stock transport", rate["stock"], f"x {ratio(figures, 'stock', 'plain'):.2f}"
    )
    table.at_least(
        "askonce, answered from the record", ratio(figures, "cached", "plain"), 0.95, rate["cached"]
    )


def drain(
    fill: Callable[[], None],
    options: tuple[str, ...],
    transport: str = "",
    *,
    watch: Callable[[redis.Redis, int], float] | None = None,
) -> Contestant:
    """Fill the queue, start a worker, and return its jobs per second, or what *watch* of its pid returns."""

    def measure() -> float:
        client = redis.Redis.from_url(URL)
        client.flushdb()
        fill()
        worker = _start_worker(options, transport)
        try:
            return watch(client, worker.pid) if watch else _watch(client)
        finally:
            worker.terminate()
            worker.wait()

    return measure


def _watch(client: redis.Redis) -> float:
    deadline, pause, began, waiting = time.monotonic() + _PATIENCE, Event(), 0.0, JOBS
    while waiting or client.exists("unacked"):
        if time.monotonic() > deadline:
            raise TimeoutError(f"{waiting} jobs are still in the queue")
        pause.wait(0.002)
        waiting = client.llen("bench")
        # The worker still starts during the first jobs: the clock begins after 100 of them.
        if not began and waiting < JOBS - 100:
            began, left = time.perf_counter(), waiting
    return left / (time.perf_counter() - began)


def _start_worker(options: tuple[str, ...], transport: str) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "celery", "-A", "benchmarks.apps", "worker", "-l", "ERROR"]
    flags = ["--without-gossip", "--without-mingle", "--without-heartbeat"]
    return subprocess.Popen(
        [*command, *flags, *options],
        env={**os.environ, "BENCH_URL": URL, "BENCH_TRANSPORT": transport},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def send_plain(task: Any) -> Callable[[], None]:
    def fill() -> None:
        for number in range(JOBS):
            task.apply_async(kwargs=payload(number))

    return fill


def send_new(task: Any) -> Callable[[], None]:
    def fill() -> None:
        for number in range(JOBS):
            task.enqueue(payload(number))

    return fill


def _send_answered(task: Any) -> Callable[[], None]:
    """Fill the queue with messages whose answers are already in the record."""

    def fill() -> None:
        process, spec = once.process(), task.job_spec
        data = Codec().encode(VALUE, spec.max_value_bytes)
        for number in range(JOBS):
            job = identify(spec, payload(number))
            lease = Lease(job.key, Owner("bench"), 30)
            process.store.admit(Claim(job, Terms.of(spec)))
            process.store.start(job, lease)
            process.store.complete(lease, Encoded(data, b""), Ttl(600, 600))
            once.sender.send(Message(job))

    return fill


assert app.conf.task_default_queue == "bench"
