import re
import socket
from time import monotonic

import pytest
from redis import Redis

from sandbox.machine import stop, wait_for
from sandbox.outside import openai_wire
from sandbox.valkey import Valkey
from tasks.reasons import CURES
from tests.deadlines import stretched

pytestmark = [pytest.mark.acceptance, pytest.mark.long]

SECRET = "geheim-4711"
WORKER = ("-m", "celery", "-A", "worker.app", "worker", "--without-gossip", "--without-mingle")
QUEUE = "{jobs}:askonce"
WITHOUT_WORKER = "warning: workers: no worker takes queue askonce: jobs wait until one does; start one"
EVICTS = "evicts by allkeys-lru, which drops records and the queue without a word"


@pytest.fixture(scope="module")
def server():
    with Valkey(tcp=True) as server:
        yield server


@pytest.fixture
def admin(server):
    """The server's operator; everything is as before after the test."""
    with Redis.from_url(server.url, decode_responses=True) as client:
        yield client
        for name, value in {"maxmemory-policy": "noeviction", "appendonly": "yes"}.items():
            client.config_set(name, value)
        client.execute_command("ACL", "DELUSER", "ana")
        client.flushall()


@pytest.fixture
def urls(server, admin):
    """The server as records and broker, with a password that nothing may show, and a model that is listed."""
    admin.execute_command("ACL", "SETUSER", "ana", "on", f">{SECRET}", "~*", "&*", "+@all")
    url = server.url.replace("redis://", f"redis://ana:{SECRET}@")
    return {"REDIS_URL": url, "CELERY_BROKER_URL": url, "OPENAI_MODEL": openai_wire.MODEL}


@pytest.fixture
def doctor(idle_machine, producer, urls):
    """Run the doctor to its end; nothing that it says holds the password."""

    def run(*options, **environment):
        told = producer(idle_machine, "doctor", *options, **{**urls, **environment})
        assert SECRET not in told.out + told.err
        assert "Traceback" not in told.err
        return told

    return run


def test_doctor_finds_nothing_wrong_with_a_sound_server(doctor, server):
    told = doctor()

    assert (0, "") == (told.code, told.err)
    lines = told.out.splitlines()
    assert f"ok: store and broker: answers at redis://127.0.0.1:{server.port}/0" in lines
    assert "ok: store and broker: maxmemory-policy is noeviction" in lines
    assert "ok: times: are in order" in lines
    # Tests start no worker on this server.
    assert [WITHOUT_WORKER] == [line for line in lines if not line.startswith("ok: ")]


def test_doctor_ends_with_78_on_an_error_and_shows_the_cure(doctor, admin):
    admin.config_set("maxmemory-policy", "allkeys-lru")

    told = doctor()

    assert 78 == told.code
    [line] = [line for line in told.out.splitlines() if line.startswith("error: ")]
    assert f"error: store and broker: {EVICTS}; set maxmemory-policy to noeviction or volatile-ttl" == line


def test_doctor_ends_with_0_on_warnings(doctor, admin):
    admin.config_set("appendonly", "no")

    told = doctor(OPENAI_API_KEY="", OPENAI_BASE_URL="")

    assert 0 == told.code
    warnings = [line for line in told.out.splitlines() if line.startswith("warning: ")]
    assert ["store and broker", "workers", "model"] == [line.split(": ")[1] for line in warnings]


def test_doctor_gives_programs_one_object_for_each_finding(doctor, admin):
    admin.config_set("maxmemory-policy", "allkeys-lru")

    told = doctor("--json")

    assert 78 == told.code
    assert all({"severity", "subject", "name", "text", "cure"} == set(found) for found in told.reports)
    assert {"ok", "warning", "error"} == {found["severity"] for found in told.reports}
    errors = [found for found in told.reports if found["severity"] == "error"]
    assert [("store", "eviction"), ("broker", "eviction")] == [(f["subject"], f["name"]) for f in errors]
    subjects = ["store", "broker", "times", "workers", "pauses", "model", "customers"]
    assert subjects == list(dict.fromkeys(found["subject"] for found in told.reports))


@pytest.fixture
def hole():
    """A port that takes connections and never answers."""
    with socket.create_server(("127.0.0.1", 0), backlog=64) as server:
        yield f"redis://ana:{SECRET}@127.0.0.1:{server.getsockname()[1]}/0"


@pytest.mark.parametrize("away", ["store", "broker"])
def test_doctor_shows_soon_which_server_is_away(doctor, hole, away):
    began = monotonic()
    told = doctor("--json", **{{"store": "REDIS_URL", "broker": "CELERY_BROKER_URL"}[away]: hole})

    assert monotonic() - began < stretched(30)
    assert 78 == told.code
    errors = [(f["subject"], f["name"]) for f in told.reports if f["severity"] == "error"]
    assert [(away, "reachable")] == errors


BAD_TIMES = {
    "JOB_LEASE=2": ("warning", "lease", 0),
    "REAP_INTERVAL=90": ("warning", "queue_deadline", 0),
}


@pytest.mark.parametrize("variable", BAD_TIMES)
def test_doctor_finds_times_of_the_environment_in_the_wrong_order(doctor, variable):
    severity, name, code = BAD_TIMES[variable]
    told = doctor("--json", **dict([variable.split("=")]))

    assert code == told.code
    times = [(f["severity"], f["name"]) for f in told.reports if f["subject"] == "times"]
    assert [(severity, name)] == times


def test_doctor_names_a_key_file_that_cannot_be_read(doctor, tmp_path):
    told = doctor(OPENAI_API_KEY="", OPENAI_API_KEY_FILE=str(tmp_path / "none"))

    assert 78 == told.code
    [line] = [line for line in told.out.splitlines() if line.startswith("error: ")]
    assert line.startswith("error: model: OPENAI_API_KEY_FILE cannot be used; ")


def test_doctor_shows_neither_key_nor_login_of_the_outside(doctor):
    outside = {
        "OPENAI_API_KEY": SECRET,
        "OPENAI_BASE_URL": f"http://ana:{SECRET}@llm.test/v1?key={SECRET}",
        "CUSTOMER_API_URL": f"http://ana:{SECRET}@customers.test",
    }

    lines = doctor(**outside).out.splitlines()

    assert "ok: model: is called at http://llm.test/v1, with a key" in lines
    assert "ok: customers: are looked up at http://customers.test" in lines


def test_doctor_calls_the_model_only_where_it_is_told_to(doctor, idle_machine):
    before = idle_machine.ledger.openai.calls

    silent, told = doctor(), doctor("--call")

    assert (0, 0, before + 2) == (silent.code, told.code, idle_machine.ledger.openai.calls)
    [more] = set(told.out.splitlines()) - set(silent.out.splitlines())
    assert re.fullmatch(rf"ok: model: {openai_wire.MODEL} answered in [\d.]+ s, for [\d.]+ dollars", more)


def test_doctor_whose_call_is_refused_ends_with_78_and_the_cure(doctor):
    told = doctor("--call", OPENAI_API_KEY="sk-invalid")

    assert 78 == told.code
    [line] = [line for line in told.out.splitlines() if line.startswith("error: ")]
    assert line == f"error: model: {openai_wire.MODEL} did not answer: invalid_key; {CURES['invalid_key']}"


def test_doctor_warns_of_a_model_that_the_service_does_not_list(doctor):
    told = doctor(OPENAI_MODEL="gpt-6-lune")

    assert 0 == told.code
    [line] = [line for line in told.out.splitlines() if "gpt-6-lune" in line]
    assert line.startswith("warning: model: gpt-6-lune is not in the service's list of models; ")


@pytest.mark.parametrize("url", ["", "https://api.openai.com/v1"])
def test_doctor_warns_of_openai_without_a_key(doctor, url):
    told = doctor(OPENAI_API_KEY="", OPENAI_BASE_URL=url)

    assert ["warning: model: has neither a key nor a server of its own"] == [
        line.partition(";")[0] for line in told.out.splitlines() if ": model: " in line
    ]


def test_doctor_says_that_a_server_of_ones_own_needs_no_key(doctor):
    lines = doctor(OPENAI_API_KEY="").out.splitlines()

    [line] = [line for line in lines if ": model: " in line]
    assert line.startswith("ok: model: is called at ")
    assert line.endswith(", without a key: a server of one's own may need none")


@pytest.mark.parametrize("pool", ["threads", "prefork"])
def test_worker_refuses_a_server_that_evicts(
    idle_machine, start, urls, server, admin, submit, new_order, pool
):
    assert 0 == submit(idle_machine, "orders.enrich", [new_order(), new_order()], **urls).code
    admin.config_set("maxmemory-policy", "allkeys-lru")
    admin.config_set("appendonly", "no")
    before = everything(server)

    told = start(idle_machine, *WORKER, "-P", pool, "-c", "2", **urls).finish()

    assert 78 == told.code
    [line] = [line for line in told.complaints if line.startswith("error: ")]
    assert line.startswith(f"error: store and broker: {EVICTS}; ")
    assert "Traceback" not in told.err
    assert SECRET not in told.out + told.err
    assert 2 == admin.llen(QUEUE)
    assert before == everything(server)


def test_worker_refuses_a_lease_that_nothing_could_fence(idle_machine, start, urls):
    told = start(idle_machine, *WORKER, JOB_LEASE="7200", **urls).finish()

    assert told.code != 0
    assert "JOB_LEASE" in told.err
    assert "Traceback" not in told.err


@pytest.mark.redis_broker("is told of both servers in one line")
def test_worker_starts_in_spite_of_warnings_and_logs_each_once(new_machine, submit, new_order):
    machine = new_machine(outside={"failure_rate": 0}, env={"REAP_INTERVAL": "1"})
    with Redis.from_url(machine.valkey.url) as client:
        client.config_set("appendonly", "no")
    machine.start_worker("-P", "threads", "-c", "2")

    told = submit(machine, "orders.enrich", [new_order()], "--wait")
    machine.stop_workers()

    assert 0 == told.code
    log = (machine.folder / "worker.log").read_text()
    [line] = [line for line in log.splitlines() if "start: " in line]
    assert re.search("WARNING .*start: store and broker: keeps nothing on disk", line)


def test_worker_whose_user_may_only_do_its_work_starts(new_machine, submit, new_order):
    machine = new_machine(outside={"failure_rate": 0}, env={"REAP_INTERVAL": "1"})
    with Redis.from_url(machine.valkey.url) as client:
        client.execute_command("ACL", "SETUSER", "default", "-config", "-info")
    machine.start_worker("-P", "threads", "-c", "2")

    told = submit(machine, "orders.enrich", [new_order()], "--wait")
    machine.stop_workers()

    assert 0 == told.code
    log = (machine.folder / "worker.log").read_text()
    assert ["INFO", "INFO", "CONFIG GET"] == re.findall("unknown, this user may not ask ([A-Z ]+);", log)


@pytest.fixture
def early_worker(new_machine):
    """Start a worker before its server, with lines of that server's configuration; gives both and the log."""
    machines, started = [], []

    def begin(pool, options=""):
        later = Valkey(options=options)
        machines.append(later)
        env = {"REDIS_URL": later.url, "CELERY_BROKER_URL": later.broker_url}
        machine = new_machine(env=env)
        log = machine.folder / "early.log"
        started.append(machine.spawn(*WORKER, "-P", pool, "-c", "2", "--loglevel", "INFO", log=log))
        wait_for(lambda: "Trying again" in log.read_text(errors="replace"), started[-1], log)
        later.start()
        return started[-1], log

    yield begin
    for process in started:
        stop(process)
    for machine in machines:
        machine.close()


def test_worker_that_is_earlier_than_its_server_waits_and_starts(early_worker):
    worker, log = early_worker("threads")

    wait_for(lambda: "ready." in log.read_text(), worker, log)

    assert "start: store: does not answer at unix://" in log.read_text()


@pytest.mark.parametrize("pool", ["threads", "prefork"])
def test_early_worker_refuses_a_server_that_evicts(early_worker, pool):
    worker, log = early_worker(pool, "maxmemory-policy allkeys-lru")

    assert 78 == worker.wait(stretched(60))
    said = log.read_text()
    [line] = [line for line in said.splitlines() if line.startswith("error: ")]
    assert line.startswith(f"error: store and broker: {EVICTS}; ")
    assert "Traceback" not in said
    assert "ready." not in said


def everything(server):
    with Redis.from_url(server.url) as client:
        return {key: client.dump(key) for key in sorted(client.keys("*"))}
