"""Enqueue: the cost of a new job and of a duplicate beside a plain ``apply_async``."""

from __future__ import annotations

import socket
from dataclasses import replace
from functools import partial
from itertools import count
from statistics import median
from typing import TYPE_CHECKING, Any
from urllib.parse import urlparse

from benchmarks.apps import URL, app, once, once_noop, payload, plain, rivals
from benchmarks.measure import interleaved, per_second, ratio

if TYPE_CHECKING:
    from collections.abc import Callable

    from benchmarks.measure import Contestant, Table

ROUNDS = 7
CALLS = 400


def run(table: Table, *, rounds: int = ROUNDS) -> None:
    """Measure payloads of 1 KB, then of 20 KB."""
    others = dict(rivals())
    for size in (1000, 20_000):
        _measure(table, size, rounds, others)


def _measure(table: Table, size: int, rounds: int, others: dict[str, Any]) -> None:
    # Each number once in a run: the rivals identify a payload by its number, not by its size.
    same, numbers = payload(-size, size), count(size * 1000)
    # The two steps of a broker on another server than the store.
    two_steps = replace(once.producer, publish=None)

    def new() -> dict[str, object]:
        # Only the id differs, so that building the payload costs next to nothing.
        return {**same, "order_id": f"A-{next(numbers)}"}

    contestants: dict[str, Contestant] = {
        "plain": lambda: per_second(lambda _: plain.apply_async(kwargs=new()), CALLS),
        "new": lambda: per_second(lambda _: once_noop.enqueue(new()), CALLS),
        "two steps": lambda: per_second(lambda _: two_steps.enqueue(once_noop.job_spec, new()), CALLS),
        "duplicate": _duplicates(lambda: once_noop.enqueue(same)),
        "bare": _bare_socket(size),
    }
    for name, task in others.items():
        contestants[f"{name} new"] = _new(task, new)
        contestants[f"{name} duplicate"] = _duplicates(partial(task.apply_async, kwargs=same))
    figures = interleaved(contestants, rounds)
    with app.connection_or_acquire() as connection:
        connection.default_channel.queue_purge("bench")
    table.title(f"Enqueue, one process, payload {size // 1000} KB; ratio to plain apply_async")
    rate = {name: f"{median(values):,.0f}/s" for name, values in figures.items()}
    table.line("plain apply_async", rate["plain"], "x 1.00")
    small = size == 1000
    _line(table, "askonce, new", ratio(figures, "new", "plain"), rate["new"], 2.0 if small else None)
    table.line(
        "  its message in a second step", rate["two steps"], f"x {ratio(figures, 'two steps', 'plain'):.2f}"
    )
    _line(
        table,
        "askonce, duplicate",
        ratio(figures, "duplicate", "plain"),
        rate["duplicate"],
        4.0 if small else None,
    )
    for name in figures:
        if name.startswith("celery-"):
            table.line(name, rate[name], f"x {ratio(figures, name, 'plain'):.2f}")
    table.line(
        "a bare socket, one script call (the limit)", rate["bare"], f"x {ratio(figures, 'bare', 'plain'):.2f}"
    )


def _line(table: Table, name: str, found: float, figure: str, goal: float | None) -> None:
    if goal is None:
        table.line(name, figure, f"x {found:.2f}")
    else:
        table.at_least(name, found, goal, figure)


def _new(task: Any, new: Callable[[], dict[str, object]]) -> Contestant:
    return lambda: per_second(lambda _: task.apply_async(kwargs=new()), CALLS)


def _duplicates(call: Callable[[], object]) -> Contestant:
    call()
    return lambda: per_second(lambda _: call(), CALLS)


def _bare_socket(size: int) -> Contestant:
    """Send one command of the size of our EVALSHA at a time, without a client library."""
    where = urlparse(URL)
    link = socket.create_connection((where.hostname, where.port))
    link.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    body = b"x" * size
    command = b"*3\r\n$4\r\nEVAL\r\n$8\r\nreturn 1\r\n$1\r\n0\r\n*2\r\n$4\r\nECHO\r\n$%d\r\n%b\r\n" % (
        size,
        body,
    )
    expected = len(b":1\r\n") + len(b"$%d\r\n" % size) + size + 2

    def call(_number: int) -> None:
        link.sendall(command)
        left = expected
        while left:
            left -= len(link.recv(left))

    return lambda: per_second(call, CALLS)
