"""Bulk: the cost of a payload that is enqueued in a group, beside a loop of plain ``apply_async``."""

from __future__ import annotations

import sys
from hashlib import sha256
from itertools import count
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import TYPE_CHECKING

import orjson
from redis import Redis

from askonce.adapters.redis.link import ServerLink
from benchmarks.apps import URL, app, once, once_checked, once_noop, payload, plain
from benchmarks.measure import interleaved, per_second, ratio
from producer.client import Client
from producer.inputs import open_inputs
from producer.progress.reporter import new_progress
from producer.run.start import Start
from producer.run.wanted import Wanted

if TYPE_CHECKING:
    from collections.abc import Callable

    from benchmarks.measure import Table

ROUNDS = 7
#: Payloads of one group, and groups of one figure.
GROUP, GROUPS = 500, 2
CALLS = 200
#: Rows of a file.
ROWS = 3000
#: The least that a store could do: one script for each job keeps its payload and sends its message.
_BARE = """if redis.call('HSETNX', KEYS[1], 'job', ARGV[1]) == 0 then return 0 end
redis.call('HSET', KEYS[1], 'payload', ARGV[2])
redis.call('PEXPIRE', KEYS[1], 604800000)
redis.call('LPUSH', KEYS[2], ARGV[3])
return 1"""
_numbers = count(1_000_000_000)


def run(table: Table, *, rounds: int = ROUNDS) -> None:
    """Measure payloads of 1 KB in groups of 500."""
    same = payload(-1)
    known = [{**same, "order_id": f"K-{number}"} for number in range(GROUP)]
    once_noop.enqueue_many(known)
    bare = _Bare()
    figures = interleaved(
        {
            "plain": lambda: per_second(lambda _: plain.apply_async(kwargs=_new(same)), CALLS),
            "new": lambda: _of_groups(lambda: once_noop.enqueue_many([_new(same) for _ in range(GROUP)])),
            "duplicates": lambda: _of_groups(lambda: once_noop.enqueue_many(known)),
            "file": lambda: _of_file(same),
            "bare new": lambda: _of_groups(lambda: bare.enqueue([_new(same) for _ in range(GROUP)])),
            "bare duplicates": lambda: _of_groups(lambda: bare.enqueue(known)),
        },
        rounds,
    )
    with app.connection_or_acquire() as connection:
        connection.default_channel.queue_purge("bench")
    rate = {name: f"{median(values):,.0f}/s" for name, values in figures.items()}
    table.title(f"Groups of {GROUP} payloads of 1 KB, one process; ratio to a loop of plain apply_async")
    table.line("plain apply_async", rate["plain"], "x 1.00")
    for name, text, least in (
        ("new", "askonce, new (aim 14)", 10.0),
        ("duplicates", "askonce, duplicates (aim 30)", 20.0),
        ("file", "askonce, from a file of JSON lines (aim 8)", 6.0),
    ):
        table.at_least(text, ratio(figures, name, "plain"), least, rate[name])
    for name in ("bare new", "bare duplicates"):
        text = f"a {name.replace(' ', ' script, ')} (the limit)"
        table.line(text, rate[name], f"x {ratio(figures, name, 'plain'):.2f}")


def _new(same: dict[str, object]) -> dict[str, object]:
    return {**same, "order_id": f"A-{next(_numbers)}"}


def _of_groups(enqueue: Callable[[], object]) -> float:
    return GROUP * per_second(lambda _: enqueue(), GROUPS)


def _of_file(same: dict[str, object]) -> float:
    """Return rows a second of a file whose rows are new, as ``producer submit`` enqueues them.

    The file is read, checked, counted and digested; its rows are parsed, validated, identified, recorded and
    sent, and the run is held and reported to the store. Only the start of a process is left out.
    """
    spec = once_checked.job_spec
    client = Client(specs={spec.name: spec}, store=once.process().store, producer=once.producer)
    with TemporaryDirectory() as folder, new_progress(sys.stderr, quiet=True) as progress:
        file = Path(folder) / "rows.jsonl"
        file.write_bytes(b"".join(orjson.dumps(_new(same)) + b"\n" for _ in range(ROWS)))
        wanted = Wanted(task=spec.name, inputs=(str(file),), max_queued=0)
        began = perf_counter()
        start = Start(wanted=wanted, client=client, inputs=open_inputs(wanted.inputs), progress=progress)
        code = start.go()
        seconds = perf_counter() - began
    if code != 0:
        raise RuntimeError(f"the run ended with {code!r}")
    return ROWS / seconds


class _Bare:
    """Sends the bare scripts of a group in one pipeline."""

    def __init__(self) -> None:
        client = Redis.from_url(URL)
        self._link, self._sha = ServerLink(client), client.script_load(_BARE)

    def enqueue(self, payloads: list[dict[str, object]]) -> list[object]:
        return self._link.ask(*map(self._command, payloads))

    def _command(self, fields: dict[str, object]) -> tuple[object, ...]:
        text = orjson.dumps(fields, option=orjson.OPT_SORT_KEYS)
        key = sha256(text).hexdigest()
        message = orjson.dumps(
            {"body": text.decode(), "headers": {"id": key, "task": "bare"}, "properties": {}}
        )
        return "EVALSHA", self._sha, 2, f"bare:{key}", "bench", key[:32], text, message
