import json
import os
from collections import Counter
from contextlib import ExitStack, contextmanager
from pathlib import Path

import pytest
from redis import Redis

from sandbox.valkey import Valkey
from tests import preloaded

pytestmark = pytest.mark.fault

HERE, ROOT = Path(__file__).parent, Path(__file__).parents[2]


@pytest.fixture
def run(tmp_path, kill_group):
    """Run a command of Celery for the length of a block; what it writes goes to the file of its name."""

    @contextmanager
    def begin(server, name, *command, after=()):
        env = {**os.environ, "SCHEDULED_URL": server.url, "PYTHONPATH": f"{HERE}:{ROOT}"}
        words = ("-m", "celery", "-A", "scheduled_app", *command, "-l", "info", *after)
        with (tmp_path / name).open("wb") as log:
            process = preloaded.start(words, env, cwd=tmp_path, stdout=log, stderr=log)
        try:
            yield tmp_path / name
        finally:
            kill_group(process)

    return begin


def test_two_schedulers_and_two_workers_make_one_call(run, eventually):
    with Valkey(tcp=True) as server, Redis.from_url(server.url) as client, ExitStack() as stack:

        def begin(name, *command):
            return stack.enter_context(run(server, name, *command))

        schedulers = [begin(f"beat-{n}", "beat", "-s", f"schedule-{n}") for n in (1, 2)]
        for number in (1, 2):
            begin(f"worker-{number}", "worker", "-P", "threads", "-n", f"w{number}@test")

        eventually(lambda: client.exists("called"), 60)
        eventually(lambda: all(times(log, b"Sending due task") >= 3 for log in schedulers), 60)
        eventually(lambda: not client.exists("scheduled:celery"), 60)

        assert [b"BRL"] == client.lrange("called", 0, -1)


def test_entry_with_max_age_or_force_makes_new_calls(run, eventually):
    entry = {"task": "rates.fetch", "schedule": 0.5}
    entries = {
        "plain": {**entry, "args": ["BRL"]},
        "of a tenant": {**entry, "args": ["BRL"], "options": {"tenant": "shop"}},
        "aged": {**entry, "args": ["EUR"], "options": {"max_age": 0.1}},
        "forced": {**entry, "args": ["USD"], "options": {"force": True}},
    }
    schedule = f"beat.schedule=(dict){json.dumps(entries)}"
    with Valkey(tcp=True) as server, Redis.from_url(server.url) as client, ExitStack() as stack:
        stack.enter_context(run(server, "worker", "worker", "-P", "threads"))
        log = stack.enter_context(run(server, "beat", "beat", "-s", "schedule", after=("--", schedule)))

        def calls():
            return Counter(client.lrange("called", 0, -1))

        eventually(lambda: calls()[b"EUR"] >= 3 and calls()[b"USD"] >= 3, 60)
        eventually(lambda: all(times(log, f"task {name} ".encode()) >= 3 for name in entries), 60)
        # One for each tenant.
        assert 2 == calls()[b"BRL"]


def times(log, words):
    return log.read_bytes().count(words)
