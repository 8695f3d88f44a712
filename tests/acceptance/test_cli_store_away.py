import json

import pytest

from sandbox.valkey import Valkey
from tests.servers.proxy import Proxy

pytestmark = [pytest.mark.acceptance, pytest.mark.long]

NOWHERE, SECRET = "redis://:geheim-4711@127.0.0.1:1/0", "geheim-4711"


@pytest.fixture
def own_server():
    """A server behind a proxy: a test may break its links."""
    with Valkey(tcp=True) as server, Proxy(server.port) as proxy:
        yield proxy


def url_of(port, login=""):
    return f"redis://{login}127.0.0.1:{port}/0"


COMMANDS = {
    "submit": ("submit", "orders.enrich"),
    "submit and wait": ("submit", "--wait", "orders.enrich"),
    "explain": ("explain", "orders.enrich"),
    "result": ("result", "0" * 64),
    "dead list": ("dead", "list"),
    "dead show": ("dead", "show", "0" * 64),
    "dead replay": ("dead", "replay", "--all"),
}


@pytest.mark.parametrize("command", COMMANDS)
def test_command_names_the_server_that_is_away(idle_machine, producer, rows_file, new_order, command):
    arguments = COMMANDS[command]
    rows = (rows_file(new_order()),) if "orders.enrich" in arguments else ()
    told = producer(idle_machine, *arguments, *rows, REDIS_URL=NOWHERE, CELERY_BROKER_URL=NOWHERE)

    assert 69 == told.code
    assert told.complaints[-1].startswith("The store did not answer or refused: ")
    assert told.complaints[-1].endswith("reason=ConnectionError server=127.0.0.1:1/0")
    assert SECRET not in told.out + told.err
    assert "Traceback" not in told.err


def test_start_without_a_server_leaves_nothing_behind(idle_machine, producer, rows_file, new_order, tmp_path):
    out = tmp_path / "out" / "out.jsonl"
    out.parent.mkdir()

    command = ("submit", "orders.enrich", rows_file(new_order()), "--out", out)
    told = producer(idle_machine, *command, REDIS_URL=NOWHERE, CELERY_BROKER_URL=NOWHERE)

    assert (69, []) == (told.code, list(out.parent.iterdir()))


def test_program_that_reads_the_lines_of_a_run_is_told_of_the_server_in_one_of_them(
    idle_machine, submit, new_order
):
    told = submit(idle_machine, "orders.enrich", [new_order()], REDIS_URL=NOWHERE, CELERY_BROKER_URL=NOWHERE)

    events = [json.loads(line) for line in told.err.splitlines()]
    *_, error = [event["line"] for event in events if event["event"] == "error"]
    assert error.endswith("reason=ConnectionError server=127.0.0.1:1/0")


def test_wrong_password_is_a_refusal_and_never_shown(idle_machine, submit, new_order):
    with Valkey(tcp=True, options=f"requirepass {SECRET}") as server:
        url = url_of(server.port, f":{SECRET}-wrong@")
        told = submit(idle_machine, "orders.enrich", [new_order()], REDIS_URL=url, CELERY_BROKER_URL=url)

    assert 69 == told.code
    assert f"reason=wrongpass server=127.0.0.1:{server.port}/0" in told.complaints[-1]
    assert SECRET not in told.out + told.err
    assert "Traceback" not in told.err


def test_server_lost_within_a_batch_costs_no_row(idle_machine, submit, new_order, own_server):
    orders, url = [new_order() for _ in range(5)], url_of(own_server.port)
    lost = own_server.block_at(orders[2]["order_id"].encode())

    told = submit(idle_machine, "orders.enrich", orders, REDIS_URL=url, CELERY_BROKER_URL=url)
    assert lost.is_set()
    own_server.cut()
    own_server.unblock()
    again = submit(idle_machine, "orders.enrich", orders, REDIS_URL=url, CELERY_BROKER_URL=url)

    # One round trip for all of them: what became of any is unknown.
    assert (69, ["unavailable"] * 5) == (told.code, [each["status"] for each in told.reports])
    assert f"server=127.0.0.1:{own_server.port}/0" in told.complaints[-1]
    assert "Traceback" not in told.err
    assert (0, 5) == (again.code, len(again.reports))
    assert {"attached", "admitted"} >= {each["status"] for each in again.reports}
