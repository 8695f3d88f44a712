import json
from pathlib import Path

import pytest
from celery import Celery
from redis import Redis

pytestmark = pytest.mark.acceptance

MARK = "segredo-4711"
STRANGER = str(Path(__file__).with_name("send_raw.py"))


@pytest.fixture
def new_worker(new_machine):
    """A machine with a worker of its own."""

    def begin(pool):
        machine = new_machine(outside={"failure_rate": 0}, env={"REAP_INTERVAL": "1"})
        machine.start_worker("-P", pool, "-c", "2")
        return machine

    return begin


@pytest.fixture
def send_raw(start, tmp_path):
    """Put messages into the queue behind the producer's back."""

    def send(machine, *messages):
        path = tmp_path / "messages.jsonl"
        path.write_text("".join(json.dumps(message) + "\n" for message in messages))
        told = start(machine, STRANGER, str(path), PYTHONPATH=".").finish()
        assert 0 == told.code, told.err

    return send


@pytest.fixture
def await_letters(eventually):
    """Wait until a worker has given up so many messages."""

    def wait(machine, number):
        with Redis.from_url(machine.valkey.url) as client:
            eventually(lambda: number == client.xlen("{askonce:jobs:letters}"), 30)

    return wait


@pytest.mark.long
@pytest.mark.parametrize("pool", ["threads", "prefork"])
def test_payloads_never_appear_in_worker_logs(new_worker, submit, send_raw, await_letters, new_meeting, pool):
    machine = new_worker(pool)
    said = {"transcript": f"Ana: We decided on {MARK}."}
    # Its ids are shown: the tasks say so.
    order = {"order_id": "log-1", "cliente_id": 1, "nota": MARK}
    unknown = {**order, "order_id": "log-2", "cliente_id": "nobody"}
    other = {**order, "order_id": "log-3", "cliente_id": 2}

    answered = submit(machine, "meetings.extract", [new_meeting(**said)], "--wait")
    enriched = submit(machine, "orders.enrich", [order, unknown], "--wait")
    machine.control(failure_rate=1.0, llm_error_rate=1.0)
    fallback = submit(machine, "orders.enrich", [other], "--wait")
    failed = submit(machine, "meetings.extract", [new_meeting(**said)], "--wait")
    # No producer looked at these: the worker refuses them itself.
    send_raw(machine, ["orders.enrich", {"order_id": [MARK], "cliente_id": 1}], ["meetings.full", {MARK: 1}])
    await_letters(machine, 2)
    machine.stop_workers()

    assert [0, 0, 0, 1] == [told.code for told in (answered, enriched, fallback, failed)]
    log = (machine.folder / "worker.log").read_text()
    assert "job.done" in log
    assert "job.failed" in log
    assert [] == lines_with_mark(machine)


@pytest.mark.redis_broker("writes into the list that kombu makes of a queue")
def test_messages_that_are_no_job_show_no_payload_in_worker_logs(new_worker, send_raw, await_letters):
    machine = new_worker("threads")
    headers = {"task": "orders.enrich", "id": "1"}

    send_raw(machine, ["no.such.task", {"nota": MARK}])
    with (
        Celery(broker=machine.valkey.broker_url, set_as_current=False) as app,
        app.producer_pool.acquire() as to,
    ):
        to.connection.transport_options = {"global_keyprefix": "{jobs}:"}
        send = {"routing_key": "askonce", "content_encoding": "utf-8"}
        to.publish(f'{{"{MARK}'.encode(), headers=headers, content_type="application/json", **send)
        to.publish(MARK.encode(), headers=headers, content_type="application/x-python-serialize", **send)
        to.publish(f'"{MARK}"'.encode(), content_type="application/json", **send)
    await_letters(machine, 4)
    machine.stop_workers()

    assert [] == lines_with_mark(machine)


def lines_with_mark(machine):
    logs = {path.name: path.read_text(errors="replace") for path in machine.folder.glob("*.log")}
    assert "worker.log" in logs
    return [(name, line) for name, log in logs.items() for line in log.splitlines() if MARK in line]
