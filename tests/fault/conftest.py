import json
import os
import signal
import subprocess
import sys
from contextlib import ExitStack, contextmanager, suppress
from itertools import count
from pathlib import Path

import pytest
from redis import Redis

from askonce.record import Status
from sandbox.demo import children_of
from sandbox.machine import ROOT
from sandbox.valkey import Valkey
from tests import preloaded
from tests.brokers import RabbitQueue, RedisQueue
from tests.deadlines import stretched
from tests.fault.queue_stage import Stage
from tests.preloaded import Machine
from tests.records import open_records
from tests.servers.proxy import Proxy

#: So many calls begin at once to a model that was never called.
_FIRST = 4

#: Seconds, each shorter than a real one so that nobody waits for long.
LEASE, REAP = 3.0, 1.0


class MachineUnderFaults:
    """One machine whose processes are killed, and the records that tell what became of the jobs."""

    lease = LEASE
    #: A killed worker's job is done within this, whatever the broker's visibility timeout of a minute.
    recovery = LEASE + REAP + 5.0

    def __init__(self, machine, eventually, queue, records=None, messages=None):
        """Look at the servers themselves, whatever their links do to the machine's processes."""
        self.machine, self.eventually, self.queue = machine, eventually, queue
        self.records, self.messages = records or machine.valkey, messages or machine.valkey
        self.look_at(self.records, self.messages)
        self.numbers, self.askers = count(1), []

    def close(self):
        for asker in self.askers:
            asker.close()
        self.store.close()
        self.client.close()
        self.queue.close()

    def look_at(self, records, messages=None):
        """Read records and messages from here from now on."""
        self.store = open_records(records.url, "jobs")
        self.client = Redis.from_url((messages or records).url)

    def new_asker(self):
        """Start a process that asks when it is told to."""
        self.askers.append(Asker(self.machine.env))
        return self.askers[-1]

    def meetings(self, how_many):
        """Meetings that differ in everything."""
        return [
            {"meeting_id": f"m-{n}", "transcript": f"Ana: We decided to ship version {n} on Friday."}
            for n in (next(self.numbers) for _ in range(how_many))
        ]

    def submit(self, task, payloads):
        """Ask without waiting; the keys of the jobs."""

        # On a busy machine the store may be late: whoever is told so asks again.
        def asked():
            code, reports = self.ask(task, payloads)
            return code != os.EX_UNAVAILABLE and (code, reports)

        code, reports = self.eventually(asked, 60)
        assert 0 == code
        return [report["key"] for report in reports]

    def ask(self, task, payloads):
        """Ask without waiting; the producer's exit code, and its reports."""
        number = next(self.numbers)
        rows = self.machine.folder / f"rows-{number}.jsonl"
        rows.write_text("".join(json.dumps(payload) + "\n" for payload in payloads))
        output = self.machine.folder / f"out-{number}.jsonl"
        code = self.machine.submit(task, rows, output=output).wait(stretched(60))
        return code, [json.loads(line) for line in output.read_text().splitlines()]

    def hold_meetings(self, how_many):
        """Ask for meetings and wait until each of them is in its call; their keys."""
        if how_many > _FIRST:
            # The pace lets more calls begin once the service has said what it accepts.
            first = self.submit("meetings.extract", self.meetings(1))
            self.wait_until_done(first)
        self.machine.control(hold=True)
        keys = self.submit("meetings.extract", self.meetings(how_many))
        assert self.machine.wait_for_held(how_many, stretched(30))
        return keys

    def let_go(self):
        self.machine.control(hold=False)

    def record(self, key):
        return self.store.read([key])[0]

    def are_done(self, keys):
        return all(record.status is Status.DONE for record in self.store.read(keys))

    def wait_until_done(self, keys, seconds=30.0):
        self.eventually(lambda: self.are_done(keys), seconds)

    def wait_until_quiet(self, seconds=30.0):
        """Wait until no message waits and none is in a worker's hands."""
        self.eventually(self.queue.is_settled, seconds)

    def watch_renewals(self, key, times):
        """Watch a running job's lease being renewed; four renewals take longer than the lease itself."""
        seen, left = 0, self.record(key).deadline_in

        def renewed():
            nonlocal seen, left
            now = self.record(key).deadline_in
            seen, left = seen + (now > left), now
            return seen >= times

        self.eventually(renewed, 10 * times)
        return seen

    def end_freshness(self, key):
        """End the answer's freshness, as if its soft time to live had passed."""
        self.client.hset(self.client.keys(f"*:rec:{key}")[0], "sx", 1)

    def pid_of(self, key):
        """The process that runs the job."""
        return int(self.record(key).owner.split(":")[1])

    def log(self, name="worker"):
        return (self.machine.folder / f"{name}.log").read_text(errors="replace")

    def run_script(self, name, *arguments):
        """Run a script of this folder on the machine; its exit code."""
        script = Path(__file__).with_name(name)
        with (self.machine.folder / "script.log").open("ab") as log:
            env = {**self.machine.env, "PYTHONPATH": str(ROOT)}
            started = preloaded.start([script, *arguments], env, stdout=log, stderr=log)
        return started.wait(stretched(60))

    def run_python(self, *arguments):
        """Run this Python on the machine; its exit code."""
        command = [sys.executable, *arguments]
        env = {**self.machine.env, "PYTHONPATH": str(ROOT)}
        return subprocess.run(command, cwd=ROOT, env=env, timeout=stretched(60), check=False).returncode


class Asker:
    """A process that asks over one connection after the other, as a web server would."""

    def __init__(self, env):
        script, env = Path(__file__).with_name("asker.py"), {**env, "PYTHONPATH": str(ROOT)}
        (reads, said), (heard, writes) = os.pipe(), os.pipe()
        with os.fdopen(reads) as stdin, os.fdopen(writes, "w") as stdout:
            self.process = preloaded.start([script], env, stdin=stdin, stdout=stdout, stderr=sys.__stderr__)
        self._said, self._heard = os.fdopen(said, "w"), os.fdopen(heard)

    def ask(self, task, payload):
        """Ask, and return what it was told."""
        self._say(task=task, payload=payload)
        return self.heard()

    def begin_to_wait(self, seconds):
        """Wait for all that was asked; `heard` tells how each of them ended."""
        self._say(wait=stretched(seconds))

    def heard(self):
        return json.loads(self._heard.readline())

    def close(self):
        self.process.kill()
        self.process.wait()
        self._heard.close()
        with suppress(BrokenPipeError):
            self._said.close()

    def _say(self, **question):
        self._said.write(json.dumps(question) + "\n")
        self._said.flush()


@pytest.fixture
def new_scene(eventually, new_broker, queue_of):
    """Start a machine of one's own, with short leases; a broker and more environment may be given."""
    scenes = []

    def begin(records=None, messages=None, broker=None, outside=None, **environment):
        # A test holds calls while it breaks things, for as long as that takes on a busy machine.
        env = {"LLM_TIMEOUT": "600", "CUSTOMER_API_TIMEOUT": "600"}
        env |= {"JOB_LEASE": str(LEASE), "REAP_INTERVAL": str(REAP), **environment}
        machine = Machine(
            outside={"failure_rate": 0, **(outside or {})}, env=env, broker=broker or new_broker()
        ).__enter__()
        queue = RedisQueue(messages.url) if messages else queue_of(machine)
        scenes.append(MachineUnderFaults(machine, eventually, queue, records, messages))
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
def new_linked_scene(new_scene):
    """Start a machine whose processes reach the records by `to_records` and the broker by `to_messages`.

    Two servers, or one behind one proxy; *options* configure the one with the records.
    """
    with ExitStack() as stack:

        def begin(*, together=False, options="", **environment):
            records = stack.enter_context(Valkey(tcp=True, options=options))
            to_records = stack.enter_context(Proxy(records.port))
            messages, to_messages = records, to_records
            if not together:
                messages = stack.enter_context(Valkey(tcp=True))
                to_messages = stack.enter_context(Proxy(messages.port))
            urls = {"REDIS_URL": to_records.port, "CELERY_BROKER_URL": to_messages.port}
            urls = {name: f"redis://127.0.0.1:{port}/0" for name, port in urls.items()}
            scene = new_scene(records, messages, **urls, **environment)
            scene.to_records, scene.to_messages = to_records, to_messages
            return scene

        yield begin


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


@pytest.fixture
def new_stage(tmp_path, eventually):
    """Start a store and workers of `queue_app`, with a broker of its own if one is given."""
    with ExitStack() as stack:

        def begin(broker_url=None, queue=None):
            server = stack.enter_context(Valkey(tcp=True))
            stage = Stage(server, broker_url, tmp_path, eventually, queue)
            stack.callback(stage.close)
            stack.callback(lambda: [kill_with_children(worker) for worker in stage.workers])
            return stage

        yield begin


@pytest.fixture(params=["redis", pytest.param("rabbitmq", marks=pytest.mark.rabbitmq)])
def stage(request, new_stage):
    """One of each broker."""
    if request.param == "redis":
        return new_stage()
    broker = request.getfixturevalue("rabbitmq")
    host = broker.new_host()
    return new_stage(broker.url_of(host), RabbitQueue(broker.port, host))


@pytest.fixture
def redis_stage(new_stage):
    """One whose messages are on the server of the records."""
    return new_stage()


def kill_with_children(worker):
    """The main process first: it shall not clean up."""
    children = children_of(worker.pid) if worker.poll() is None else []
    worker.kill()
    for pid in children:
        # It ends with its parent, perhaps first.
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    worker.wait(stretched(10))
    return children


def is_gone(pid):
    """Whether a process has ended, buried by its parent or not."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    command = ["ps", "-o", "stat=", "-p", str(pid)]
    state = subprocess.run(command, capture_output=True, text=True, check=False).stdout
    # While a thread of it still ends, marked by "l", its connections are open.
    return not state.strip() or (state[:1] == "Z" and "l" not in state)
