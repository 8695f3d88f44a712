"""Payloads, keys and passwords with a mark go through every path, and no log or monitor shows the mark."""

import json
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlencode
from urllib.request import urlopen

import pytest
from redis import Redis

from sandbox.machine import ROOT, wait_for
from sandbox.server import free_port
from sandbox.valkey import Valkey
from tests.deadlines import eventually, stretched
from tests.preloaded import Machine

pytestmark = [
    pytest.mark.acceptance,
    pytest.mark.long,
    pytest.mark.timeout(600),
    pytest.mark.redis_broker("uses the users of the server"),
]

MARK = "segredo-4711"
ACL = ROOT / "deploy" / "acl"
STRANGER = str(Path(__file__).with_name("send_raw.py"))
INSPECTED = ("active", "reserved", "scheduled", "stats", "conf", "report", "registered", "active_queues")
TABLE = {"draw": 1, "start": 0, "length": 500, "order[0][column]": 0, "columns[0][data]": "name"}
#: The kinds of keys that hold payloads and answers: records, dead letters, messages.
BY_DESIGN = (b":rec:", b":letters", b"{jobs}:askonce", b"{jobs}:unacked")


@dataclass
class Site:
    """A machine whose server has users with marked passwords, and what was shown so far, by its source."""

    start: object
    server: Valkey
    machine: Machine
    folder: Path
    port: int = field(default_factory=free_port)
    metrics_port: int = field(default_factory=free_port)
    shown: dict[str, str] = field(default_factory=dict)

    def env(self, role):
        url = f"redis://{role}:{MARK}-{role}@127.0.0.1:{self.server.port}/0"
        return {"REDIS_URL": url, "CELERY_BROKER_URL": url}

    def run(self, name, *arguments, role="producer", **env):
        """Run a program to its end, and keep what it shows."""
        told = self.start(self.machine, *map(str, arguments), **{**self.env(role), **env}).finish(120)
        self.shown[f"{name} {len(self.shown)}"] = told.out + told.err
        return told

    def producer(self, *words, **env):
        return self.run(f"producer {' '.join(map(str, words[:2]))}", "-m", "producer", *words, **env)

    def rows(self, name, *rows):
        path = self.folder / f"{name}.jsonl"
        path.write_text("".join(json.dumps(row) + "\n" for row in rows))
        return path

    def get(self, page, port=None):
        with urlopen(f"http://127.0.0.1:{port or self.port}/{page}", timeout=stretched(60)) as answer:
            return answer.read().decode()

    def tasks(self):
        return json.loads(self.get(f"tasks/datatable?{urlencode(TABLE)}"))["data"]

    def celery(self, *words, name, ready, env, app="worker.app"):
        log = self.folder / f"{name}.log"
        command = ("-m", "celery", "-A", app, *words)
        path = {"PYTHONPATH": str(ROOT)}
        process = self.machine.spawn(*command, log=log, ended_by="SIGKILL", env={**self.env(env), **path})
        self.machine.workers.append(process)
        wait_for(lambda: ready in log.read_bytes(), process, log)
        return process

    def worker(self, name, app):
        options = ("-l", "DEBUG", "-P", "threads", "-c", "4", "-n", f"{name}@here", "--without-gossip")
        return self.celery("worker", *options, name=name, ready=b"ready.", env="worker", app=app)

    def settle(self):
        """Wait until no task is under way."""
        busy = ("RECEIVED", "STARTED")
        eventually(lambda: not [each for each in self.tasks() if each["state"] in busy], 90)


@pytest.fixture
def site(start, tmp_path, customers):
    users = "".join(path.read_text() for path in sorted(ACL.glob("*.acl"))).replace("change-me", MARK)
    (tmp_path / "users.acl").write_text(f"{users}user operator on >op ~* &* +@all\n")
    env = {
        "REAP_INTERVAL": "1",
        "JOB_LEASE": "5",
        "LOG_FORMAT": "json",
        "OPENAI_API_KEY": f"sk-{MARK}",
        "FLOWER_UNAUTHENTICATED_API": "true",
    }
    with ExitStack() as stack:
        server = stack.enter_context(Valkey(tcp=True, options=f'aclfile "{tmp_path}/users.acl"'))
        outside = {"failure_rate": 0, "customers": customers}
        machine = stack.enter_context(Machine(outside=outside, env=env))
        yield Site(start, server, machine, tmp_path)


def watch(site, app):
    """Start a worker of *app*, Flower, a listener of events and the metrics process."""
    site.worker("first", app)
    site.celery("events", "--dump", name="events", ready=b"heartbeat", env="flower")
    address = ("--address=127.0.0.1", f"--port={site.port}")
    site.celery("flower", *address, name="flower", ready=b"Connected to", env="flower")
    serve = ("-m", "worker", "metrics", "--serve", f"127.0.0.1:{site.metrics_port}")
    log = site.folder / "metrics.log"
    site.machine.workers.append(
        site.machine.spawn(*serve, log=log, ended_by="SIGKILL", env=site.env("metrics"))
    )
    eventually(lambda: "flower_worker_online{" in site.get("metrics"), 60)


def meeting(number):
    said = "Ana: We decided to ship on Friday.\nBruno: I will write the notes."
    return {"meeting_id": f"m-{number}", "transcript": f"Note: {MARK}\n{said}"}


def order(number):
    return {"order_id": f"o-{number}", "cliente_id": number, "nota": MARK}


def answer_and_refuse(site):
    """Answers, fallbacks, dead letters, refused rows and messages; a service that fails and quotes a key."""
    extract, enrich = ("submit", "meetings.extract"), ("submit", "orders.enrich")
    outs, wait = (site.folder / "out.jsonl", site.folder / "failed.jsonl"), ("--wait", "--timeout", "60")
    site.producer("-v", *extract, site.rows("a", meeting(1), meeting(2), meeting(1)), "--out", outs[0])
    site.producer(*enrich, site.rows("b", order(1), order(2)))
    wrong = [{"order_id": [MARK], "cliente_id": 3}, {**order(3), "cliente_id": {"x": MARK}}, {"nota": MARK}]
    site.producer("-v", *enrich, site.rows("c", *wrong))
    site.machine.control(llm_error_rate=1.0, failure_rate=1.0)
    site.producer(*extract, site.rows("d", meeting(3)), "--out", outs[1])
    site.producer(*enrich, site.rows("e", order(4)))
    site.machine.control(llm_error_rate=0.0, failure_rate=0.0, llm_key="another")
    site.producer(*extract, site.rows("f", meeting(4)), "--wait", "--timeout", "3")
    site.producer("doctor", "--call")
    site.machine.control(llm_key="")
    strangers = [
        ["orders.enrich", {"order_id": [MARK], "cliente_id": 1}],
        ["meetings.full", {"meeting_id": "m", "transcript": {"x": MARK}}],
        ["no.such.task", {"nota": MARK}],
        ["orders.enrich", order(5)],
    ]
    site.run("stranger", STRANGER, site.rows("strangers", *strangers), PYTHONPATH=".")
    site.producer(*extract, site.rows("g", meeting(6)), *wait, "--progress", "json")


def interrupt(site, app):
    """Kill a worker in a call, then give wrong passwords, and addresses where no server is."""
    site.machine.control(hold=True)
    site.producer("submit", "meetings.extract", site.rows("h", meeting(5)))
    assert site.machine.wait_for_held(1, stretched(30))
    site.machine.workers[0].kill()
    site.machine.control(hold=False)
    site.worker("second", app)
    site.settle()
    wrong = f"redis://producer:{MARK}-wrong@127.0.0.1:{site.server.port}/0"
    away = f"redis://producer:{MARK}-away@127.0.0.1:1/0"
    for url in (wrong, away, f"redis://:{MARK}@[/0", f"amqp://u:{MARK}@127.0.0.1:1//"):
        both = {"REDIS_URL": url, "CELERY_BROKER_URL": url}
        site.producer("submit", "orders.enrich", site.rows("i", order(6)), **both)
        site.producer("doctor", **both)
    for number, url in enumerate((wrong, away)):
        refused(site, app, url, site.folder / f"refused-{number}.log")


def refused(site, app, url, log):
    """Start a worker that does not reach its server; return when it says so."""
    command = ("-m", "celery", "-A", app, "worker", "-P", "threads", "-l", "DEBUG")
    both = {"REDIS_URL": url, "CELERY_BROKER_URL": url, "PYTHONPATH": str(ROOT)}
    process = site.machine.spawn(*command, log=log, ended_by="SIGKILL", env=both)
    site.machine.workers.append(process)
    eventually(lambda: process.poll() is not None or b"Cannot connect" in log.read_bytes(), 60)


def inspect(site):
    """Look at a worker while it runs a stranger's message."""
    site.machine.control(hold=True)
    held = ["meetings.extract", meeting(7)]
    site.run("stranger", STRANGER, site.rows("held", held), PYTHONPATH=".")
    assert site.machine.wait_for_held(1, stretched(60))
    for command in (*INSPECTED, "counts"):
        words = ("-m", "celery", "-A", "worker.app", "inspect", command, "--json", "-t", "20")
        assert 0 == site.run("inspect", *words, role="flower").code
    site.machine.control(hold=False)
    site.settle()


def look(site):
    """Use every verb that shows something, and look at every monitor."""
    listed = site.producer("dead", "list", "--json").out
    ids = [each.get("id") or each["key"] for each in map(json.loads, listed.splitlines())]
    assert len(ids) >= 4, listed
    site.producer("dead", "show", *ids)
    site.producer("dead", "replay", *ids[:2])
    site.settle()
    site.producer("pause", "--task", "orders.enrich", "--note", "the invoice")
    for words in ("pauses", "runs list", "cost", "doctor", f"cancel {'f' * 64}", f"result {'f' * 64}"):
        site.producer(*words.split())
    # Of a meeting it would show the whole transcript that its caller gives: that is what the key is made of.
    site.producer("explain", "orders.enrich", site.rows("j", order(1), order(9)))
    site.producer("resume", "--task", "orders.enrich")
    inspect(site)
    pages = [f"tasks/datatable?{urlencode(TABLE)}", "workers", "broker", "api/workers?refresh=1", "api/tasks"]
    pages += ["metrics", *(f"task/{each['uuid']}" for each in site.tasks())]
    pages += [f"worker/{name}" for name in {each["worker"] for each in site.tasks()} - {None}]
    site.shown["flower"] = "\n".join(map(site.get, pages))
    site.shown["metrics"] = site.get("metrics", site.metrics_port)
    for sample in (
        "askonce_store_up 1.0",
        "askonce_broker_up 1.0",
        'task="meetings.extract"',
        "tokens_total",
    ):
        assert sample in site.shown["metrics"], sample


def found_in(site):
    """Return the sources that show the mark: what was printed, logged and kept beside the records."""
    kept = {f"log {path.name}": path.read_text(errors="replace") for path in site.folder.rglob("*.log")}
    kept |= {f"journal {path.name}": path.read_text() for path in site.folder.glob("*.journal")}
    assert len([name for name in kept if name.startswith("journal")]) == 2
    with Redis(port=site.server.port, username="operator", password="op") as client:
        for key in client.scan_iter(count=1000):
            if not any(part in key for part in BY_DESIGN):
                kept[f"key {key.decode()}"] = repr(client.dump(key))
    return sorted(name for name, text in {**site.shown, **kept}.items() if MARK in text)


def test_no_log_and_no_monitor_shows_what_is_secret(site):
    watch(site, "worker.app")
    answer_and_refuse(site)
    interrupt(site, "worker.app")
    look(site)

    logs = [path.read_text() for path in site.folder.glob("*.log")]
    for event in ("job.done", "job.failed", "job.invalid", "message.unknown_task", "succeeded"):
        assert any(event in log for log in logs), event
    assert [] == found_in(site)


def test_secrets_are_found_where_nothing_hides_them(site):
    watch(site, "tests.acceptance.unredacted")
    answer_and_refuse(site)
    look(site)

    sources = {name.split()[0] for name in found_in(site)}
    assert {"log", "inspect", "flower"} <= sources
    assert {"log first.log", "log events.log"} <= set(found_in(site))
