import json
import socket
from time import monotonic

import pytest

from tests.deadlines import stretched

pytestmark = [pytest.mark.acceptance, pytest.mark.long]

#: A producer's start is part of it, on a busy machine.
SOON = 15.0
NOBODY = "redis://127.0.0.1:1/0"
SECRET = "geheim-4711"


@pytest.fixture
def silent_server():
    """A port that takes connections and never answers."""
    with socket.create_server(("127.0.0.1", 0), backlog=64) as server:
        yield f"redis://127.0.0.1:{server.getsockname()[1]}/0"


@pytest.fixture(params=["refused", pytest.param("silent", marks=pytest.mark.long)])
def dead_url(request):
    return NOBODY if request.param == "refused" else request.getfixturevalue("silent_server")


@pytest.mark.parametrize("command", ["submit", "submit and wait", "result", "explain"])
def test_store_that_is_down_ends_every_command_with_69(
    idle_machine, producer, rows_file, new_order, dead_url, command
):
    path = rows_file(new_order(), new_order())
    arguments = {
        "submit": ("submit", "orders.enrich", path),
        "submit and wait": ("submit", "orders.enrich", path, "--wait"),
        "result": ("result", "0" * 64),
        "explain": ("explain", "orders.enrich", path),
    }[command]

    began = monotonic()
    told = producer(idle_machine, *arguments, REDIS_URL=dead_url, CELERY_BROKER_URL=dead_url)

    assert 69 == told.code
    assert monotonic() - began < stretched(SOON)
    assert "Traceback" not in told.err
    assert "The store did not answer" in told.err
    if arguments[0] == "submit":
        started, *_ = map(json.loads, told.err.splitlines())
        assert "started" == started["event"]


def test_rows_are_sent_without_the_store_to_another_broker(idle_machine, submit, new_order, dead_url):
    told = submit(idle_machine, "orders.enrich", [new_order()], REDIS_URL=dead_url)

    assert 0 == told.code
    assert ("admitted", True) == (told.report["status"], told.report["degraded"])


def test_broker_that_is_down_ends_a_submission_with_69(idle_machine, submit, new_order, dead_url):
    began = monotonic()
    told = submit(idle_machine, "orders.enrich", [new_order()], CELERY_BROKER_URL=dead_url)

    assert 69 == told.code
    assert monotonic() - began < stretched(2 * SOON)
    assert "Traceback" not in told.err
    assert "The broker did not accept the message" in told.err
    assert "unavailable" == told.report["status"]


def test_wait_ends_with_75_without_a_worker(idle_machine, submit, new_order):
    told = submit(idle_machine, "orders.enrich", [new_order(), new_order()], "--wait", "--timeout", "1")

    assert 75 == told.code
    assert ["timeout", "timeout"] == [report["status"] for report in told.reports]
    assert {"queued"} == {report["error"]["state"].lower() for report in told.reports}
    assert "Traceback" not in told.err


BAD_VALUES = {
    "CACHE_TTL_HOURS": SECRET,
    "REDIS_PORT": SECRET,
    "REDIS_URL": f"http://user:{SECRET}@127.0.0.1/0",
    "CELERY_BROKER_URL": f"redis://:{SECRET}/4712@127.0.0.1/0",
    "JOB_LEASE": "-4711",
    "ASKONCE_NAMESPACE": f"{{{SECRET}}}",
    "CUSTOMER_API_URL": SECRET,
    "LLM_API": SECRET,
    "LLM_TIMEOUT": "inf",
}
COMMANDS = {
    "submit": ("-m", "producer", "submit", "orders.enrich", "README.md"),
    "worker": ("-m", "celery", "-A", "worker.app", "worker"),
}


CASES = [("submit", variable) for variable in BAD_VALUES]
CASES += [("worker", "CACHE_TTL_HOURS"), ("worker", "REDIS_PORT")]


@pytest.mark.parametrize(("command", "variable"), CASES)
def test_bad_configuration_names_the_variable_and_never_its_value(idle_machine, start, command, variable):
    told = start(idle_machine, *COMMANDS[command], **{variable: BAD_VALUES[variable]}).finish()

    assert (78, "") == (told.code, told.out)
    [complaint] = told.complaints
    assert complaint.startswith(f"bad configuration: {variable}: ")
    assert BAD_VALUES[variable] not in complaint
    assert SECRET not in complaint


def test_help_loads_neither_the_model_client_nor_celery(idle_machine, start):
    told = start(idle_machine, "-X", "importtime", "-m", "producer", "--help").finish()

    loaded = {line.rpartition("|")[2].strip().partition(".")[0] for line in told.complaints}
    assert 0 == told.code
    assert "Usage: python -m producer" in told.out
    assert "click" in loaded
    assert not loaded & {"openai", "celery", "kombu", "redis", "pydantic", "httpx2"}


def test_submission_never_loads_the_model_client_nor_a_task_body(idle_machine, start, rows_file, new_order):
    path = rows_file(new_order())
    command = ("-X", "importtime", "-m", "producer", "submit", "orders.enrich", str(path))

    told = start(idle_machine, *command).finish()

    loaded = {line.rpartition("|")[2].strip() for line in told.complaints}
    assert 0 == told.code
    assert {"celery", "tasks.catalog"} <= loaded
    assert not loaded & {"openai", "httpx2"}
    assert not [name for name in loaded if name.startswith("tasks.providers") or name.endswith(".body")]
