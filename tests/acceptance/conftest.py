import csv
import json
import os
import re
import subprocess
import sys
from dataclasses import dataclass
from itertools import count

import pytest

from sandbox.machine import ROOT
from tests import preloaded
from tests.deadlines import stretched
from tests.preloaded import Machine
from tests.records import open_records

#: Seconds after which a producer that does not end is a failure.
PATIENCE = 90.0
CUSTOMERS = range(1, 500)


@dataclass(frozen=True)
class Told:
    """What a finished process said."""

    code: int
    out: str
    err: str

    @property
    def reports(self):
        return [json.loads(line) for line in self.out.splitlines()]

    @property
    def report(self):
        [report] = self.reports
        return report

    @property
    def total(self):
        """The line that says what became of all rows."""
        [total] = [line for line in self.complaints if re.match(r"[\d,]+( of [\d,]+)? rows?: ", line)]
        return total

    @property
    def problems(self):
        """What it complained of before that line."""
        lines = self.complaints
        return lines[: lines.index(self.total)]

    @property
    def complaints(self):
        """What it wrote to stderr for people, without how far it was."""
        return [line for line in map(_line_of, self.err.splitlines()) if line is not None]


def _line_of(line):
    """Return what a line of stderr says to people; None where it is for programs only."""
    if not line.startswith('{"event": '):
        return line
    return json.loads(line).get("line")


class Running:
    """A process that was started; `finish` gives what it said."""

    def __init__(self, arguments, environment, folder):
        self.out, self._err = folder / "out", folder / "err"
        with self.out.open("wb") as out, self._err.open("wb") as err:
            if arguments[0] in ("-c", "-X"):  # about Python itself, so it has to be a new one
                files = {"stdin": subprocess.DEVNULL, "stdout": out, "stderr": err}
                command = [sys.executable, *arguments]
                self.process = subprocess.Popen(command, cwd=ROOT, env=environment, **files)
            else:
                self.process = preloaded.start(arguments, environment, stdout=out, stderr=err)

    def said(self):
        """Return what it wrote to stderr so far."""
        return self._err.read_text("utf-8", errors="replace")

    def finish(self, seconds=PATIENCE):
        code = self.process.wait(timeout=stretched(seconds))
        return Told(code=code, out=self.out.read_text("utf-8"), err=self._err.read_text("utf-8"))

    def close(self):
        self.process.kill()
        self.process.wait()


@pytest.fixture
def start(tmp_path_factory):
    """Start this Python with arguments on a machine; ends with the test at the latest."""
    running = []

    def begin(machine, *arguments, **environment):
        running.append(Running(arguments, {**machine.env, **environment}, tmp_path_factory.mktemp("running")))
        return running[-1]

    yield begin
    for one in running:
        one.close()


@pytest.fixture
def producer(start):
    """Run the command line to its end."""

    def run(machine, *arguments, **environment):
        return start(machine, "-m", "producer", *map(str, arguments), **environment).finish()

    return run


@pytest.fixture(scope="session")
def no_worker(new_broker):
    """What submit and explain show where no worker takes the queue of the tasks."""
    # RabbitMQ has no prefix for all keys, so the namespace is in the queue's name.
    queue = "jobs:askonce" if (new_broker() or "").startswith("amqp") else "askonce"
    return f"no worker takes queue {queue}: jobs wait until one does"


@pytest.fixture
def rows_file(tmp_path):
    """Write payloads, or raw lines, as a file of rows."""
    numbers = count(1)

    def write(*rows):
        path = tmp_path / f"rows-{next(numbers)}.jsonl"
        lines = [row if isinstance(row, bytes) else json.dumps(row).encode() for row in rows]
        path.write_bytes(b"".join(line + b"\n" for line in lines))
        return path

    return write


@pytest.fixture
def begin_submit(start, rows_file):
    """Start a producer that submits payloads with `--json`."""

    def begin(machine, task, payloads, *options, **environment):
        arguments = ("-m", "producer", "submit", task, str(rows_file(*payloads)), "--json", *options)
        return start(machine, *arguments, **environment)

    return begin


@pytest.fixture
def submit(begin_submit):
    """The same, to its end."""

    def run(*arguments, **environment):
        return begin_submit(*arguments, **environment).finish()

    return run


@pytest.fixture(scope="session")
def numbers():
    """Numbers that no other test gets: a question of one test is never answered from another's."""
    return iter(CUSTOMERS)


@pytest.fixture
def new_order(numbers):
    """An order, of a customer that nobody asked for yet."""

    def make(**more):
        number = next(numbers)
        return {"order_id": f"TEST-{number}", "cliente_id": number, "total": 1.5, **more}

    return make


@pytest.fixture
def new_meeting(numbers):
    """A meeting that nobody asked for yet."""

    def make(**more):
        number = next(numbers)
        said = f"Ana: We decided to ship version {number} on Friday.\nBruno: I will write the notes."
        return {"meeting_id": f"meeting-{number}", "transcript": said, **more}

    return make


@pytest.fixture(scope="session")
def customers(tmp_path_factory):
    """A customer for each number."""
    path = tmp_path_factory.mktemp("customers") / "customers.csv"
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(["cliente_id", "cliente_nome"])
        writer.writerows([number, f"Cliente {number}"] for number in CUSTOMERS)
    return path


@pytest.fixture(scope="session")
def papers(tmp_path_factory):
    """A folder with an authority, and a certificate for localhost that it signed; also for a client."""
    folder = tmp_path_factory.mktemp("papers")

    def run(*arguments):
        subprocess.run(
            ["openssl", *arguments], cwd=folder, check=True, capture_output=True, timeout=stretched(60)
        )

    new = ("req", "-newkey", "rsa:2048", "-nodes")
    run(*new, "-x509", "-days", "2", "-subj", "/CN=Test authority", "-keyout", "ca.key", "-out", "ca.crt")
    run(*new, "-subj", "/CN=localhost", "-keyout", "server.key", "-out", "server.csr")
    (folder / "names").write_text("subjectAltName=DNS:localhost\n")
    signed = ("-CA", "ca.crt", "-CAkey", "ca.key", "-CAcreateserial", "-extfile", "names")
    run("x509", "-req", "-in", "server.csr", "-days", "2", *signed, "-out", "server.crt")
    return folder


@pytest.fixture(scope="session")
def working_machine(customers, new_broker):
    outside = {"failure_rate": 0, "customers": customers}
    env = {"CUSTOMER_API_TIMEOUT": "45", "REAP_INTERVAL": "1"}
    with Machine(outside=outside, env=env, broker=new_broker()) as machine:
        machine.start_worker("-P", "threads", "-c", "32")
        yield machine


@pytest.fixture
def machine(working_machine):
    """One machine with a worker for all tests; its outside behaves as at first after each."""
    yield working_machine
    working_machine.outside.reset()


@pytest.fixture(scope="session")
def idle_machine(new_broker):
    """A machine on which nobody works."""
    with Machine(outside={"failure_rate": 0}, broker=new_broker()) as machine:
        yield machine


@pytest.fixture
def new_machine(new_broker):
    """Start a machine of one's own."""
    machines = []

    def begin(**options):
        machines.append(Machine(**{"broker": new_broker(), **options}).__enter__())
        return machines[-1]

    yield begin
    for machine in machines:
        machine.__exit__(None, None, None)


@pytest.fixture
def store(machine):
    """The records of the machine."""
    store = open_records(machine.valkey.url, "jobs")
    yield store
    store.close()


@pytest.fixture
def real_data():
    """The folder that the variable names."""
    folder = os.environ.get("REAL_DATA_DIR")
    if not folder:
        pytest.skip("REAL_DATA_DIR names no folder with meetings.jsonl, orders.jsonl and customers.csv")
    return folder
