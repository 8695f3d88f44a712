import json
import os

import pytest
from redis import Redis

from sandbox.valkey import Valkey
from tests.deadlines import stretched
from tests.preloaded import Machine, start

pytestmark = [pytest.mark.fault, pytest.mark.redis_broker("stops the servers of its own machine")]

ROWS = [json.dumps({"order_id": f"N-{number}", "cliente_id": number}) + "\n" for number in (1, 2, 3)]
#: A delivery comes back soon: after seconds, not a minute.
SOON = {"visibility_timeout": 2, "unacked_restore_interval": 1, "unacked_restore_throttle": 1}
OPTIONS = {**SOON, "global_keyprefix": "{jobs}:", "socket_timeout": 5, "socket_connect_timeout": 2}


def test_orders_are_looked_up_when_the_store_is_back(new_machine, tmp_path, eventually):
    orders = tmp_path / "orders.jsonl"
    orders.write_text("".join(ROWS))
    with Valkey(tcp=True) as broker:
        machine = new_machine(orders, broker=broker.url)
        machine.valkey.stop()
        call_reprocess(machine)
        eventually(lambda: said(machine).count("orders.interrupted row=1 reason=") >= 2, 60)

        machine.valkey.start()

        eventually(lambda: "orders.reprocessed rows=3 admitted=3" in said(machine), 60)
        eventually(lambda: machine.ledger.customers.answered == 3, 60)


def test_orders_are_looked_up_when_a_full_server_has_room_again(new_machine, tmp_path, eventually):
    orders = tmp_path / "orders"
    # The worker reads a row when this test writes it.
    os.mkfifo(orders)
    machine = new_machine(orders, options=("--", f"broker.transport_options=(dict){json.dumps(OPTIONS)}"))
    call_reprocess(machine)
    with Redis.from_url(machine.valkey.url) as server:
        with orders.open("w") as rows:
            # Neither the row's job nor a message for later is accepted, but a message may be deleted.
            server.config_set("maxmemory", 1)
            rows.write(ROWS[0])
        eventually(lambda: "the broker is down" in said(machine), 60)

        server.config_set("maxmemory", 0)

    with orders.open("w") as rows:
        rows.writelines(ROWS)
    eventually(lambda: "orders.reprocessed rows=3 admitted=3" in said(machine), 60)
    eventually(lambda: machine.ledger.customers.answered == 3, 60)


@pytest.fixture
def new_machine():
    """Start a machine with a worker for a file of orders."""
    machines = []

    def begin(orders, *, options=(), broker=None):
        machine = Machine(env={"ORDERS_FILE": str(orders)}, outside={"failure_rate": 0}, broker=broker)
        machines.append(machine.__enter__())
        machine.start_worker("-P", "threads", "-c", "4", *options)
        return machine

    yield begin
    for machine in machines:
        machine.__exit__(None, None, None)


def call_reprocess(machine):
    """Run `celery call`, as a person would."""
    options = ("--kwargs", '{"max_age": 60}', "--expires", "3600")
    with (machine.folder / "call").open("wb") as out:
        command = ("-m", "celery", "-A", "worker.app", "call", "orders.reprocess", *options)
        assert 0 == start(command, machine.env, stdout=out, stderr=out).wait(stretched(60))


def said(machine):
    return (machine.folder / "worker.log").read_text()
