import logging
import os
from threading import Thread

import pytest

from askonce.adapters.memory import MemoryStore
from askonce.enqueue import Producer
from askonce.errors import RecordDamaged, StoreUnavailable
from settings.environment import Settings, SettingsInvalid
from tasks.catalog import ORDERS_ENRICH, catalog
from tasks.orders.reprocess import reprocess
from tests.deadlines import stretched
from tests.jobs import OneQueue

MARKER = "hunter2-of-ana-souza"
SPEC = catalog(Settings(_env_file=None))[ORDERS_ENRICH]


class Sender(OneQueue):
    def __init__(self):
        self.sent = []

    def send(self, message):
        self.sent.append(message.job)


@pytest.fixture
def enqueue():
    """Enqueue an order on a store in memory; `sent` has the jobs."""
    sender = Sender()
    producer = Producer(store=MemoryStore(), sender=sender)

    def call(row):
        return producer.enqueue(SPEC, row)

    call.sent = sender.sent
    return call


@pytest.fixture
def orders(tmp_path):
    path = tmp_path / "orders.jsonl"
    path.write_text(
        '{"order_id": "A", "cliente_id": 1}\n'
        f'{{"note": "{MARKER}"}}\n'
        f"{MARKER}\n"
        '{"order_id": "A", "cliente_id": 1, "total": 5}\n'
        '{"order_id": "C", "cliente_id": 2}\n'
    )
    return path


def test_bad_order_is_refused_by_row_and_field_and_the_rest_is_enqueued(orders, enqueue, caplog):
    caplog.set_level(logging.INFO, "askonce")

    counts = reprocess(orders, enqueue)

    assert {"admitted": 2, "attached": 1, "invalid": 2} == counts
    assert 2 == len(enqueue.sent)
    assert [
        "orders.refused row=2 invalid: order_id Field required; cliente_id Field required",
        "orders.refused row=3 invalid:  not JSON: Expecting value at column 1",
        "orders.reprocessed rows=5 admitted=2 attached=1 invalid=2",
    ] == caplog.messages


def test_order_whose_record_is_damaged_costs_no_other_row(orders, enqueue):
    def damaged(row):
        if row.get("order_id") == "A":
            raise RecordDamaged(key="k" * 64, reason="value")
        return enqueue(row)

    assert {"unreadable": 2, "invalid": 2, "admitted": 1} == reprocess(orders, damaged)


def test_store_that_is_down_ends_the_run_at_its_row(orders, enqueue, caplog):
    def down(row):
        if row.get("order_id") == "C":
            raise StoreUnavailable(server="127.0.0.1:1")
        return enqueue(row)

    caplog.set_level(logging.INFO, "askonce")
    with pytest.raises(StoreUnavailable):
        reprocess(orders, down)

    assert "orders.interrupted row=5 reason=" in caplog.text


@pytest.mark.parametrize("name", [None, "nothing.jsonl", "."])
def test_file_that_cannot_be_read_is_one_line_that_names_the_variable(name, tmp_path, enqueue, caplog):
    with pytest.raises(SettingsInvalid, match=r"^ORDERS_FILE: must name a readable file of orders: "):
        reprocess(name and tmp_path / name, enqueue)

    [line] = caplog.messages
    assert "ORDERS_FILE" in line


def test_row_is_enqueued_before_the_next_one_is_read(tmp_path, enqueue, eventually):
    pipe = tmp_path / "orders"
    os.mkfifo(pipe)
    counts = []
    reader = Thread(target=lambda: counts.append(reprocess(pipe, enqueue)), daemon=True)
    reader.start()

    with pipe.open("wb", buffering=0) as rows:
        for number in range(1, 4):
            rows.write(f'{{"order_id": "{number}", "cliente_id": 1}}\n'.encode())
            eventually(lambda number=number: len(enqueue.sent) == number)

    reader.join(stretched(10))
    assert [{"admitted": 3}] == counts
