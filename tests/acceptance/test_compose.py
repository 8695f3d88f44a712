"""docker-compose.yml without a container engine: each service as it is written, with what compose gives it.

Another user, no capability, a file system that nobody writes, the users of deploy/acl, one network.
"""

import json
import re
import shutil

import pytest

from sandbox.machine import ROOT
from tests.deadlines import eventually
from tests.servers import compose
from tests.servers.compose import Composed

pytestmark = [pytest.mark.acceptance, pytest.mark.long, pytest.mark.timeout(300)]

DEMO = {"COMPOSE_PROFILES": "demo"}
#: Asked for before the others: those wait for them.
FIRST = ["valkey", "stand-ins"]
OTHERS = ["worker", "worker-bulk", "beat", "flower", "metrics"]
#: Fails for a user who may write into what compose mounts read-only.
INTRUDE = "import os; print(os.getuid(), os.getgid(), 0 in os.getgroups()); open('/app/new', 'w')"


@pytest.fixture(autouse=True, scope="module")
def possible():
    if not compose.is_possible():
        pytest.skip("needs root, and namespaces of Linux")


@pytest.fixture(scope="module")
def demo():
    """Everything that ``docker compose --profile demo up`` starts, but for the run of twenty rows."""
    with Composed(DEMO) as composed:
        composed.up = {name: composed.start(name).until_healthy() for name in FIRST}
        composed.up |= {name: composed.start(name) for name in OTHERS}
        yield composed


@pytest.fixture
def composed():
    """Start other services, with what another ``.env`` holds; they end with the test."""
    begun = []

    def begin(environment, **changed):
        begun.append(Composed(environment, changed).__enter__())
        return begun[-1]

    yield begin
    for each in begun:
        each.__exit__(None, None, None)


@pytest.fixture
def secrets(tmp_path):
    """A folder of passwords, as `.env` names it."""
    shutil.copytree(ROOT / "deploy/demo/passwords", tmp_path / "secrets")
    for path in (tmp_path / "secrets").iterdir():
        path.write_text(f"own-{path.name}")
    return tmp_path / "secrets"


def control(stand_ins, **changes):
    """Change how the stand-ins behave; return their state."""
    program = (
        "import sys, urllib.request as r; "
        "print(r.urlopen('http://127.0.0.1:8080/control', sys.argv[1].encode() or None).read().decode())"
    )
    done = stand_ins.execute("python", "-c", program, json.dumps(changes) if changes else "")
    return json.loads(done.stdout)


def reports_of(done):
    """Return what a run with ``--json`` printed of each row."""
    lines = [json.loads(line) for line in done.said.splitlines() if line.startswith('{"row"')]
    return [(line["status"], line["source"]) for line in lines]


def submit(composed, *options, task="orders.enrich", file="orders", rows=20):
    words = ("submit", task, f"sandbox/samples/{file}.jsonl", "--limit", str(rows), "--json", *options)
    return composed.run("producer", *words)


def spent_in(composed):
    """Return what ``cost`` counts of the calls that were paid."""
    *_, total = map(json.loads, composed.run("producer", "cost", "--json").said.splitlines())
    return {name: total[name] for name in ("calls", "known_micro_usd", "unpriced", "in_doubt")}


@pytest.mark.parametrize("name", FIRST + OTHERS)
def test_service_is_healthy_by_its_own_check(demo, name):
    demo.up[name].until_healthy()


def test_demo_answers_twenty_rows_without_any_key(demo):
    demo.up["worker"].until_healthy()

    done = demo.run("demo")

    assert 0 == done.process.returncode, done.said
    # The other tests of this demo may have asked for some of them before.
    assert {*reports_of(done)} <= {("done", "call"), ("done", "cache")}
    assert 20 == len(reports_of(done))
    assert "OPENAI_API_KEY=" not in demo.up["worker"].execute("env").stdout
    assert "stand-ins invent all answers: this is the demo" in demo.up["worker"].said
    assert "SecurityWarning" not in demo.up["worker"].said


def test_model_of_the_demo_answers_too(demo):
    demo.up["worker"].until_healthy()

    done = submit(demo, "--wait", task="meetings.extract", file="meetings", rows=3)

    assert [("done", "call")] * 3 == reports_of(done), done.said


def test_queue_of_long_runs_has_a_worker_of_its_own(demo):
    demo.up["worker-bulk"].until_healthy()

    done = submit(demo, "--wait", "--refresh", "--queue", "askonce-bulk")

    assert [("done", "call")] * 20 == reports_of(done), done.said
    # Whatever the form of its lines.
    assert demo.up["worker-bulk"].said.count("orders.enrich") >= 20


@pytest.mark.parametrize("name", ["stand-ins", "worker", "worker-bulk", "beat", "flower", "metrics"])
def test_program_has_another_user_and_writes_nothing(demo, name):
    done = demo.up[name].until_healthy().execute("python", "-c", INTRUDE)

    assert "10001 10001 False\n" == done.stdout
    assert "Read-only file system: '/app/new'" in done.stderr
    rights = demo.up[name].execute("grep", "-E", "Cap(Prm|Eff|Bnd)|NoNewPrivs", "/proc/self/status")
    assert ["0000000000000000"] * 3 + ["1"] == [line.split()[1] for line in rights.stdout.splitlines()]


FETCH = """
import sys, urllib.error, urllib.request
try:
    with urllib.request.urlopen(sys.argv[1]) as answer:
        print(answer.status, answer.read().decode())
except urllib.error.HTTPError as error:
    print(error.code)
"""


def test_page_of_flower_asks_for_a_login_and_its_health_check_for_none(demo):
    flower = demo.up["flower"].until_healthy()

    assert "401\n" == flower.execute("python", "-c", FETCH, "http://127.0.0.1:5555/workers").stdout


def test_metrics_are_read_with_the_rights_of_their_user(demo):
    demo.up["worker"].until_healthy()
    submit(demo, "--wait")

    told = demo.up["metrics"].until_healthy().execute("python", "-c", FETCH, "http://127.0.0.1:9808/metrics")

    assert told.stdout.startswith("200 "), told
    counted = re.findall(
        r'^askonce_calls_total\{.*"customers.lookup".*\} ([\d.]+)$', told.stdout, re.MULTILINE
    )
    assert sum(map(float, counted)) > 0


def test_doctor_in_a_container_finds_no_error(demo):
    done = demo.run("producer", "doctor")

    assert 0 == done.process.returncode, done.said
    assert "error: " not in done.said


def test_only_who_is_on_call_purges_a_queue_and_scans_all_records(demo):
    # A queue that no worker takes.
    waiting = submit(
        demo, "--refresh", "--queue", "askonce-nobody", task="meetings.extract", file="meetings", rows=1
    )
    purge, scan = ("queue", "purge", "askonce-nobody", "--cancel"), ("jobs", "list", "--scan")

    refused = [demo.run("producer", *words) for words in (purge, scan)]
    done = demo.run("oncall", *purge)
    listed = demo.run("oncall", *scan)

    assert 0 == waiting.process.returncode, waiting.said
    assert [69, 69] == [each.process.returncode for each in refused], [each.said for each in refused]
    assert (0, "1 message deleted, 1 job cancelled\n") == (done.process.returncode, done.said)
    assert (0, True) == (listed.process.returncode, "meetings.extract" in listed.said), listed.said


def test_server_lets_in_nobody_without_a_password(demo):
    ping = demo.up["valkey"].execute("valkey-cli", "ping")

    assert ping.stdout.startswith("NOAUTH"), ping


def test_each_service_stops_within_its_grace_and_hands_its_jobs_back(composed):
    # All attempts together take longer than the grace, also where the worker gets its signal late.
    times = {
        "CUSTOMER_API_TIMEOUT": "20",
        "LLM_TIMEOUT": "4",
        "REAP_INTERVAL": "1",
        "JOB_QUEUE_DEADLINE": "5",
    }
    system = composed({**DEMO, **times, "JOB_LEASE": "3"})
    up = {name: system.start(name).until_healthy() for name in (*FIRST, *OTHERS)}
    control(up["stand-ins"], hold=True)
    assert 0 == submit(system).process.returncode
    eventually(lambda: control(up["stand-ins"])["held"] > 0, 60)

    codes = {name: up[name].stop() for name in OTHERS}
    control(up["stand-ins"], hold=False)
    left = up["valkey"].execute("sh", "-c", WHAT_IS_LEFT)
    again = system.start("worker").until_healthy()
    done = submit(system, "--wait")

    assert dict.fromkeys(OTHERS, 0) == codes
    assert int(left.stdout.split()[-1]) > 0, left
    assert ["done"] * 20 == [status for status, _ in reports_of(done)], done.said
    assert [0, 0, 0] == [each.stop() for each in (again, up["stand-ins"], up["valkey"])]


#: How many messages wait in the queue.
WHAT_IS_LEFT = (
    "REDISCLI_AUTH=$(cat /run/secrets/operator_password) valkey-cli --user operator llen '{demo}:askonce'"
)


def refusal_of(service, *, seconds=60):
    """Return the lines in which *service* says why it does no work; it stays, and is not healthy."""
    eventually(lambda: service.said, seconds)
    assert not service.is_healthy()
    assert "Traceback" not in service.said
    return service.said


@pytest.mark.parametrize(
    ("content", "line"),
    [
        ("", "state server: no password is set for worker: sh deploy/new-passwords.sh makes all"),
        (
            "demo-worker",
            "state server: worker has the demo's password, which everybody knows: ",
        ),
    ],
)
def test_server_without_a_password_of_its_own_says_so_and_does_not_start(composed, secrets, content, line):
    (secrets / "worker").write_text(content)

    server = composed({"ASKONCE_NAMESPACE": "jobs", "SECRETS": str(secrets)}).start("valkey")

    assert refusal_of(server).startswith(line)
    assert 1 == server.said.count("\n")
    assert server.process.poll() is None


def test_secret_that_a_container_cannot_read_is_named_by_server_and_worker(composed, secrets):
    (secrets / "worker").chmod(0o600)
    system = composed({**DEMO, "SECRETS": str(secrets)})

    server, worker = system.start("valkey"), system.start("worker")

    assert "the password of worker cannot be read: user 999 must be able to read" in refusal_of(server)
    eventually(lambda: "not started again" in worker.said, 60)
    first, *_ = refusal_of(worker).splitlines()
    assert "bad configuration: REDIS_PASSWORD_FILE: " in first
    assert first.endswith("must name a readable file that holds a password")


def test_wrong_password_is_named_and_the_worker_stays(composed, secrets):
    system = composed({**DEMO, "SECRETS": str(secrets)})
    system.start(*FIRST).until_healthy()
    (secrets / "worker").write_text("of another server")

    worker = system.start("worker")

    eventually(lambda: "not started again" in worker.said, 60)
    assert "error: store and broker: refuses the login" in refusal_of(worker)


def test_user_without_its_permissions_is_named_and_the_worker_stays(composed, tmp_path):
    shutil.copytree(ROOT / "deploy/acl", tmp_path / "acl")
    path = tmp_path / "acl/worker.acl"
    path.write_text(path.read_text().replace("+eval +evalsha", ""))
    acl = [f"{tmp_path}/acl:/etc/askonce/acl:ro"]
    volumes = [each for each in compose.read({})["services"]["valkey"]["volumes"] if "/acl:" not in each]
    system = composed(DEMO, valkey={"volumes": [*volumes, *acl]})
    system.start(*FIRST).until_healthy()

    worker = system.start("worker")

    eventually(lambda: "not started again" in worker.said, 60)
    assert "scripts" in refusal_of(worker)


def test_worker_without_services_and_without_the_demo_is_refused(composed):
    system = composed({})
    system.start("valkey").until_healthy()

    worker = system.start("worker")

    eventually(lambda: "not started again" in worker.said, 90)
    assert "error: services: no service is configured, and no stand-in runs; copy .env.exampl" in refusal_of(
        worker
    )


def test_port_that_is_taken_is_named_in_one_line(demo):
    second = demo.start("stand-ins")

    assert 2 == second.process.wait(60)
    assert second.said.endswith("error: cannot start: Address already in use (port 8080)\n")


def test_worker_waits_for_a_server_that_comes_later_and_loses_nothing_when_it_goes(composed):
    system = composed(DEMO)
    system.start("stand-ins").until_healthy()
    worker = system.start("worker")
    eventually(lambda: "Trying again in" in worker.said, 90)
    live = worker.execute("python", "-m", "worker", "health", "live")
    ready = worker.execute("python", "-m", "worker", "health", "ready")

    server = system.start("valkey").until_healthy()
    worker.until_healthy(120)
    first = submit(system, "--wait")
    spent = spent_in(system)
    server.kill()
    eventually(lambda: "Connection to broker lost" in worker.said, 60)
    system.start("valkey").until_healthy()
    again = submit(system, "--wait")

    assert (0, 1) == (live.returncode, ready.returncode), (live, ready)
    assert [("done", "call")] * 20 == reports_of(first), first.said
    assert [("done", "cache")] * 20 == reports_of(again), again.said
    assert spent == spent_in(system)
    assert spent["calls"] > 0
