import json
import os
import signal
import subprocess
import sys
from contextlib import contextmanager
from itertools import count
from pathlib import Path

import pytest
from redis import Redis

from askonce.adapters.redis_store import RedisStore
from askonce.record import Status
from sandbox.demo import children_of
from sandbox.machine import ROOT, Machine

#: Seconds, each shorter than a real one so that nobody waits for long.
LEASE, REAP = 3.0, 1.0


class Scene:
    """One machine whose processes are killed, and the records that tell what became of the jobs."""

    lease = LEASE
    #: A killed worker's job is done within this, whatever the broker's visibility timeout of a minute.
    recovery = LEASE + REAP + 5.0

    def __init__(self, machine, eventually, queue):
        self.machine, self.eventually, self.queue = machine, eventually, queue
        self.store = RedisStore.from_url(machine.valkey.url, namespace="jobs")
        self.client = Redis.from_url(machine.valkey.url)
        self.numbers = count(1)

    def close(self):
        self.store.close()
        self.client.close()
        self.queue.close()

    def meetings(self, how_many):
        """Meetings that differ in everything."""
        return [
            {"meeting_id": f"m-{n}", "transcript": f"Ana: We decided to ship version {n} on Friday."}
            for n in (next(self.numbers) for _ in range(how_many))
        ]

    def submit(self, task, payloads):
        """Ask without waiting; the keys of the jobs."""
        number = next(self.numbers)
        rows = self.machine.folder / f"rows-{number}.jsonl"
        rows.write_text("".join(json.dumps(payload) + "\n" for payload in payloads))
        output = self.machine.folder / f"out-{number}.jsonl"
        assert 0 == self.machine.submit(task, rows, output=output).wait(60)
        return [json.loads(line)["key"] for line in output.read_text().splitlines()]

    def hold_meetings(self, how_many):
        """Ask for meetings and wait until each of them is in its call; their keys."""
        self.machine.control(hold=True)
        keys = self.submit("meetings.extract", self.meetings(how_many))
        assert self.machine.wait_for_held(how_many, 30)
        return keys

    def let_go(self):
        self.machine.control(hold=False)

    def record(self, key):
        return self.store.read([key])[0]

    def are_done(self, keys):
        return all(record.status is Status.DONE for record in self.store.read(keys))

    def wait_until_done(self, keys, seconds=30.0):
        self.eventually(lambda: self.are_done(keys), seconds)

    def pid_of(self, key):
        """The process that runs the job."""
        return int(self.record(key).owner.split(":")[1])

    def log(self, name):
        return (self.machine.folder / f"{name}.log").read_text(errors="replace")

    def use_records(self, server):
        """Look at the records of another server than the machine's own."""
        self.store.close()
        self.store = RedisStore.from_url(server.url, namespace="jobs")

    def run_script(self, name, *arguments):
        """Run a script of this folder on the machine; its exit code."""
        return self.run_python(str(Path(__file__).with_name(name)), *arguments)

    def run_python(self, *arguments):
        """Run this Python on the machine; its exit code."""
        command = [sys.executable, *arguments]
        env = {**self.machine.env, "PYTHONPATH": str(ROOT)}
        return subprocess.run(command, cwd=ROOT, env=env, timeout=60, check=False).returncode


@pytest.fixture
def new_scene(eventually, new_broker, queue_of):
    """Start a machine of one's own, with short leases; a broker and more environment may be given."""
    scenes = []

    def begin(broker=None, **environment):
        env = {"JOB_LEASE": str(LEASE), "REAP_INTERVAL": str(REAP), "CUSTOMER_API_TIMEOUT": "60"}
        env |= {"LLM_TIMEOUT": "60", **environment}
        machine = Machine(outside={"failure_rate": 0}, env=env, broker=broker or new_broker()).__enter__()
        scenes.append(Scene(machine, eventually, queue_of(machine)))
        return scenes[-1]

    yield begin
    for scene in scenes:
        for worker in scene.machine.workers:
            kill_with_children(worker)
        scene.close()
        scene.machine.__exit__(None, None, None)


@pytest.fixture
def scene(new_scene):
    return new_scene()


@pytest.fixture
def kill(eventually):
    """SIGKILL a process; returns when it is gone, and its connections with it."""

    def end(pid):
        os.kill(pid, signal.SIGKILL)
        eventually(lambda: is_gone(pid), 15)

    return end


@pytest.fixture
def kill_group(eventually):
    """SIGKILL a worker with all its processes; returns the number of its children when all are gone."""

    def end(worker):
        children = kill_with_children(worker)
        eventually(lambda: all(map(is_gone, children)), 15)
        return len(children)

    return end


@pytest.fixture
def stopped():
    """Stop a process by SIGSTOP for as long as the block runs."""

    @contextmanager
    def stop(pid):
        os.kill(pid, signal.SIGSTOP)
        try:
            yield
        finally:
            os.kill(pid, signal.SIGCONT)

    return stop


def kill_with_children(worker):
    """The main process first: it shall not clean up."""
    children = children_of(worker.pid) if worker.poll() is None else []
    worker.kill()
    for pid in children:
        os.kill(pid, signal.SIGKILL)
    worker.wait(10)
    return children


def is_gone(pid):
    """Whether a process has ended, buried by its parent or not."""
    command = ["ps", "-o", "stat=", "-p", str(pid)]
    state = subprocess.run(command, capture_output=True, text=True, check=False).stdout
    return state.strip()[:1] in ("", "Z")
