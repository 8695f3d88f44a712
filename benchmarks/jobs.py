"""Jobs: how long an operator's commands take on a store with many records."""

from __future__ import annotations

import subprocess
import sys
import time
from secrets import token_hex
from statistics import median
from types import SimpleNamespace
from typing import TYPE_CHECKING, cast

from click.testing import CliRunner
from redis import Redis

from askonce.answer import Encoded, Ttl
from askonce.claim import Claim, Terms
from askonce.cli.plugin import askonce
from askonce.job import Key, Owner
from askonce.key import identify
from askonce.store import Failing, Lease
from benchmarks.apps import NAMESPACE, URL, app, once, once_noop, payload

if TYPE_CHECKING:
    from askonce.outcomes import Outcome
    from askonce.store import Store
    from benchmarks.measure import Table

RECORDS = 1_000_000
#: Of a hundred records; the others are done.
_IN_FLIGHT, _DEAD = 10, 1
#: Seconds that a command may take; and times those of an empty store, with the start of Python and Celery.
_SECONDS, _MOST = 1.0, 1.5
_ROUNDS = 5
_AT_ONCE = 1_000
_SPEC = once_noop.job_spec
_REST = Ttl(86_400.0, 86_400.0)
_LIST_DEAD = "list", "--state", "dead"


def run(table: Table, *, jobs: int = RECORDS) -> None:
    """Measure each command on an empty store, and on so many records."""
    # A server that forgets a million records replies late.
    with Redis.from_url(URL, socket_timeout=None) as client:
        client.flushdb()
        start = median(_process(_LIST_DEAD) for _ in range(_ROUNDS))
        waits, done = _fill(client, jobs)
        commands = {
            "jobs list --state dead": _LIST_DEAD,
            "jobs list --state dead --task --since": (*_LIST_DEAD, "--task", _SPEC.name, "--since", "1h"),
            "jobs list": ("list",),
            "jobs show KEY, of a job in flight": ("show", waits),
            "jobs show KEY, its first 16 digits": ("show", waits[:16]),
            "jobs show KEY, of a job that is done": ("show", done),
            "jobs show TASK FIELD=VALUE, its key field": ("show", _SPEC.name, "order_id=A-0"),
        }
        table.title(f"{jobs:,} records: {_IN_FLIGHT} % in flight, {_DEAD} % dead, the others done")
        for name, words in commands.items():
            table.within(name, median(_verb(words) for _ in range(_ROUNDS)), _SECONDS, "s", digits=3)
        many = median(_process(_LIST_DEAD) for _ in range(_ROUNDS))
        table.at_most(
            "the first one as a process; beside an empty store", many / start, _MOST, f"{many:.2f} s"
        )
        seconds = _verb(("list", "--run", "none"))
        table.line("jobs list --run none", f"{seconds:.1f} s", "the store looks at all in flight")
        seconds = _verb(("list", "--reason", "none"))
        table.line("jobs list --reason none", f"{seconds:.1f} s", "reads all in flight")
        seconds = _verb(("show", _SPEC.name, "field_00=none"), code=1)
        table.line(
            "jobs show TASK FIELD=VALUE, no key field", f"{seconds:.1f} s", "the store looks at all payloads"
        )
        client.flushdb()


def _verb(words: tuple[str, ...], code: int = 0) -> float:
    """Return the seconds of a verb in this process."""
    context = SimpleNamespace(app=app)
    began = time.perf_counter()
    told = CliRunner().invoke(askonce, ["jobs", *words], obj=context, catch_exceptions=False)
    if told.exit_code != code:
        raise RuntimeError(f"jobs {' '.join(words)} ended with {told.exit_code}")
    return time.perf_counter() - began


def _process(words: tuple[str, ...]) -> float:
    """Return the seconds of a whole process."""
    began = time.perf_counter()
    command = [sys.executable, "-m", "celery", "-A", "benchmarks.apps", "askonce", "jobs", *words]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    return time.perf_counter() - began


def _fill(client: Redis, jobs: int) -> tuple[Key, Key]:
    """Make the records; return the key of one in flight, and of one that is done."""
    in_flight, dead = jobs * _IN_FLIGHT // 100, jobs * _DEAD // 100
    store = once.process().store
    waits = _enqueue(in_flight)
    for number in range(in_flight, in_flight + dead):
        _give_up(store, number)
    done = _finish(store, in_flight + dead)
    _copy(client, done, jobs - in_flight - dead - 1)
    return waits, done


def _enqueue(jobs: int) -> Key:
    """Enqueue so many jobs that no worker takes; return the key of the last one."""
    keys = list[Key]()
    for first in range(0, jobs, _AT_ONCE):
        payloads = [payload(number) for number in range(first, min(first + _AT_ONCE, jobs))]
        keys += [cast("Outcome", each).key for each in once.producer.enqueue_many(_SPEC, payloads)]
    return keys[-1]


def _give_up(store: Store, number: int) -> None:
    job = identify(_SPEC, payload(number))
    lease = Lease(job.key, Owner("bench"), 30.0)
    store.admit(Claim(job, Terms.of(_SPEC)._replace(max_attempts=1)))
    store.start(job, lease)
    store.fail(lease, Failing(kind="transient", reason="timeout@bench"))


def _finish(store: Store, number: int) -> Key:
    job = identify(_SPEC, payload(number))
    lease = Lease(job.key, Owner("bench"), 30.0)
    store.admit(Claim(job, Terms.of(_SPEC)))
    store.start(job, lease)
    store.complete(lease, Encoded(b"x" * 1000, b""), _REST)
    return job.key


def _copy(client: Redis, key: Key, copies: int) -> None:
    """Copy the record of *key* to other keys, which takes less time than so many jobs."""
    record = client.dump(_name(key))
    assert record is not None
    for first in range(0, copies, _AT_ONCE):
        pipeline = client.pipeline(transaction=False)
        for _ in range(min(_AT_ONCE, copies - first)):
            pipeline.restore(_name(Key(token_hex(32))), int(_REST.kept * 1000), record)
        pipeline.execute()


def _name(key: Key) -> str:
    return f"{{askonce:{NAMESPACE}:b{key[:2]}}}:rec:{key}"
