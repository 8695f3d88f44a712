import json
import os
import pickle
from urllib.parse import quote

import pytest
from celery import Celery
from redis import Redis

from sandbox.valkey import Valkey

pytestmark = [pytest.mark.acceptance, pytest.mark.long]

MARK = "geheim-4711"


class Touch:
    """Makes a file when it is unpickled."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mknod, (str(self.path),)


@pytest.fixture
def worker(new_machine):
    """A machine with a worker of its own."""
    machine = new_machine(outside={"failure_rate": 0}, env={"REAP_INTERVAL": "1"})
    machine.start_worker("-P", "threads", "-c", "2")
    return machine


@pytest.fixture
def send(worker, queue_of):
    """Return a function that puts any message into the worker's queue, as a stranger could."""

    def put(body, content_type, task):
        with (
            Celery(broker=worker.env["CELERY_BROKER_URL"], set_as_current=False) as app,
            app.producer_pool.acquire() as to,
        ):
            to.connection.transport_options = {"global_keyprefix": "{jobs}:"}
            encoding = "binary" if content_type == "application/x-python-serialize" else "utf-8"
            how = {"content_encoding": encoding, "content_type": content_type}
            headers = {"task": task, "id": "1", "lang": "py"}
            to.publish(body, headers=headers, routing_key=queue_of(worker).CALLED, **how)

    return put


@pytest.mark.parametrize("form", ["pickle", "yaml"])
def test_message_that_would_run_code_is_kept_unread(
    worker, send, queue_of, producer, eventually, tmp_path, form
):
    made = tmp_path / "made"
    body = {
        "pickle": pickle.dumps(((), {"order_id": Touch(made)}, {})),
        "yaml": f"!!python/object/apply:os.mknod ['{made}']".encode(),
    }[form]
    content_type = {"pickle": "application/x-python-serialize", "yaml": "application/x-yaml"}[form]

    send(body, content_type, "orders.enrich")
    with Redis.from_url(worker.valkey.url) as client:
        eventually(lambda: client.xlen("{askonce:jobs:letters}"), 30)
    eventually(queue_of(worker).is_settled, 30)
    listed = producer(worker, "dead", "list", "--json")

    assert ["undecodable"] == [report["reason"] for report in listed.reports]
    assert not made.exists()
    assert 0 == worker.ledger.customers.answered


def test_task_that_is_not_in_the_catalog_is_never_run(worker, send, producer, eventually, tmp_path):
    made = tmp_path / "made"
    names = ["os.mknod", "celery.backend_cleanup.x", "builtins.exec"]

    for name in names:
        send(json.dumps([[str(made)], {}, None]).encode(), "application/json", name)
    with Redis.from_url(worker.valkey.url) as client:
        eventually(lambda: client.xlen("{askonce:jobs:letters}") == len(names), 30)
    listed = producer(worker, "dead", "list", "--json")

    assert {("unknown_task", name) for name in names} == {
        (report["reason"], report["task"]) for report in listed.reports
    }
    assert not made.exists()


@pytest.fixture
def guarded():
    """A server with a password, and settings that name it, right or wrong."""
    with Valkey(tcp=True, options=f"requirepass {MARK}") as server:

        def settings(password=MARK):
            url = f"redis://:{quote(password)}@127.0.0.1:{server.port}/0"
            return {"REDIS_URL": url, "CELERY_BROKER_URL": url, "OPENAI_API_KEY": f"sk-{MARK}"}

        yield settings


def test_no_secret_is_in_what_workers_and_commands_say(guarded, new_machine, producer, rows_file, new_order):
    order, wrong = new_order(), f"{MARK}-wrong"
    machine = new_machine(outside={"failure_rate": 0}, env={"REAP_INTERVAL": "1", **guarded()})
    machine.start_worker("-P", "threads", "-c", "2", "--loglevel", "DEBUG")
    machine.control(llm_error_rate=1.0)
    commands = [
        ("submit", "orders.enrich", rows_file(order), "--wait", "--json"),
        ("submit", "meetings.extract", rows_file({"meeting_id": "1", "transcript": "Ana: Yes."}), "--wait"),
        ("explain", "orders.enrich", rows_file(order)),
        ("dead", "list"),
        ("doctor",),
    ]

    right = [producer(machine, *command) for command in commands]
    refused = [producer(machine, *command, **guarded(wrong)) for command in commands]
    absurd = producer(machine, "doctor", REDIS_URL=f"redis://:{MARK}/#@127.0.0.1:1/0")
    machine.stop_workers()

    assert [0, 1, 0, 0, 0] == [told.code for told in right]
    assert [69, 69, 69, 69, 78] == [told.code for told in refused]
    assert 78 == absurd.code
    told = [line for each in (*right, *refused, absurd) for line in (each.out + each.err).splitlines()]
    log = (machine.folder / "worker.log").read_text(errors="replace")
    assert "ready." in log
    assert [] == [line for line in (*told, *log.splitlines()) if MARK in line or quote(MARK) in line]
