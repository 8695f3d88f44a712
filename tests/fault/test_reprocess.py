import json

import pytest
from redis import Redis

from sandbox.valkey import Valkey
from tests.preloaded import Machine
from tests.slots_by_hand import ends, schedules_of, start_slot

pytestmark = [pytest.mark.fault, pytest.mark.redis_broker("stops the servers of its own machine")]

ROWS = [json.dumps({"order_id": f"N-{number}", "cliente_id": number}) + "\n" for number in (1, 2, 3)]


@pytest.fixture
def new_machine(tmp_path):
    """Start a machine for a file of orders, with a slot of it that waits for a worker."""
    orders, machines = tmp_path / "orders.jsonl", []
    orders.write_text("".join(ROWS))

    def begin(**options):
        machine = Machine(env={"ORDERS_FILE": str(orders)}, outside={"failure_rate": 0}, **options)
        machines.append(machine.__enter__())
        assert 0 == start_slot(machine)
        return machine

    yield begin
    for machine in machines:
        machine.__exit__(None, None, None)


def test_orders_are_looked_up_when_the_store_is_back(new_machine, eventually):
    with Valkey(tcp=True) as broker:
        machine = new_machine(broker=broker.url)
        machine.valkey.stop()
        machine.start_worker("-P", "threads", "-c", "4")
        eventually(lambda: "store.down" in said(machine), 60)

        machine.valkey.start()

        eventually(lambda: machine.ledger.customers.answered == 3, 90)
        assert [("done", 3)] == slots(machine, eventually)


def test_orders_are_looked_up_when_a_full_server_has_room_again(new_machine, eventually):
    with Valkey(tcp=True) as broker:
        machine = new_machine(broker=broker.url)
        with Redis.from_url(machine.valkey.url) as server:
            server.config_set("maxmemory", 1)
            machine.start_worker("-P", "threads", "-c", "4")
            eventually(lambda: "oom" in said(machine), 60)

            server.config_set("maxmemory", 0)

        eventually(lambda: machine.ledger.customers.answered == 3, 90)
        assert [("done", 3)] == slots(machine, eventually)


def slots(machine, eventually):
    with schedules_of(machine) as schedules:
        ended = eventually(lambda: ends(schedules), 60)
    return [(what, facts["asked"]) for what, facts in ended]


def said(machine):
    return (machine.folder / "worker.log").read_text()
