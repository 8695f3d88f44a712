"""At three in the morning: one command says why a job does not run, and who did what."""

import json
import re
import socket
from contextlib import closing

import pytest

from askonce.cli.listed import Wanted, indexed_keys, jobs_of
from askonce.cli.standing import State
from tests.acceptance.crowds import POOLS
from tests.records import open_records

pytestmark = [pytest.mark.acceptance, pytest.mark.long]


@pytest.fixture
def night(new_machine):
    """A machine whose worker and service a test may stop."""
    machine = new_machine(outside={"llm_rate_headers": False, "failure_rate": 0}, env={"REAP_INTERVAL": "1"})
    machine.start_worker(*POOLS["threads"])
    return machine


@pytest.fixture
def run(producer, night):
    """Run a verb that must succeed; return what it printed."""

    def run(*arguments, code=0):
        told = producer(night, *arguments)
        assert (code, False) == (told.code, "Traceback" in told.err), (told.out, told.err)
        return told

    return run


@pytest.fixture
def why(run):
    return lambda *what: json.loads(run("jobs", "show", *what, "--json").out)["why"]


@pytest.fixture
def records(night):
    with closing(open_records(night.valkey.url, "jobs")) as store:
        yield store


def parked_keys(store):
    """Return the jobs that are parked for long enough to be shown so."""
    found = jobs_of(store, indexed_keys(store, Wanted()))
    return [job.key for job in found if job.state is State.PARKED and job.record.wait > 10]


def answered(store, key):
    return store.read([key])[0].value


def test_paused_task_provider_away_and_missing_worker_are_told_apart(
    night, records, run, why, submit, new_meeting, new_order, eventually
):
    run("pause", "--task", "orders.enrich", "--note", "the invoice is wrong")
    order = new_order()
    submit(night, "orders.enrich", [order])
    night.control(llm_requests_per_second=0.02, llm_retry_after="seconds")
    meetings = [new_meeting() for _ in range(5)]
    submit(night, "meetings.extract", meetings)
    [key, *_] = eventually(lambda: parked_keys(records), 60)

    paused, parked = why("orders.enrich", f"order_id={order['order_id']}"), why(key)
    night.stop_workers()
    look_up = {"cliente_id": order["cliente_id"]}
    submit(night, "customers.lookup", [look_up])
    missing = why("customers.lookup", f"cliente_id={look_up['cliente_id']}")

    assert paused.startswith("paused: task orders.enrich: ")
    assert paused.endswith(": the invoice is wrong")
    assert re.match(
        r"for its provider, since \d+ s \((rate_limited|waiting_for_turn)\); the next look is in ", parked
    )
    assert "no worker takes queue" in missing
    assert meetings[0]["transcript"] not in paused + parked + missing


def test_running_job_dead_one_and_done_one_are_shown_and_the_dead_one_replayed(
    night, records, run, why, submit, begin_submit, new_meeting, eventually
):
    night.control(llm_error_rate=1.0)
    dead = submit(night, "meetings.extract", [new_meeting()], "--wait").report["key"]
    night.control(llm_error_rate=0.0, hold=True)
    running = new_meeting()
    asker = begin_submit(night, "meetings.extract", [running], "--wait")
    assert night.wait_for_held(1, 60)

    runs = why("meetings.extract", f"meeting_id={running['meeting_id']}")
    ended = why(dead[:16])
    night.control(hold=False)
    done = asker.finish().report["key"]
    replayed = run("jobs", "replay", "--all", "--note", "up again")
    eventually(lambda: answered(records, dead), 60)

    assert f"it runs on {_holder(night)} since " in runs
    assert ended.startswith("quarantined: ")
    assert why(done).startswith("its answer is kept since ")
    assert "1 done, 0 not\n" == replayed.err
    entry = run("audit", "--json").report
    assert ("replay", "--all: 1 job", "up again") == (entry["act"], entry["what"], entry["note"])


@pytest.mark.redis_broker("another broker shows no message of a queue")
def test_purged_queue_is_empty_and_its_jobs_are_cancelled(night, run, submit, new_order, eventually):
    queue = next(each["queue"] for each in run("queue", "list", "--json").reports if each["workers"])
    run("pause", "--queue", queue)
    orders = [new_order() for _ in range(3)]
    keys = [each["key"] for each in submit(night, "orders.enrich", orders).reports]
    # A worker that had taken one gives it back.
    eventually(lambda: 3 == _length(run, queue), 60)

    peeked = run("queue", "peek", queue, "--json").reports
    purged = run("queue", "purge", queue, "--cancel", "--note", "sent by mistake")
    run("resume", "--queue", queue)

    assert set(keys) == {each["key"] for each in peeked}
    assert "3 messages deleted, 3 jobs cancelled\n" == purged.out
    assert 0 == _length(run, queue)
    states = {each["state"] for each in run("jobs", "show", *keys, "--json").reports}
    assert {"ended"} == states
    assert ["pause", "purge", "resume"] == [each["act"] for each in run("audit", "--json").reports]


def _length(run, queue):
    return {each["queue"]: each["messages"] for each in run("queue", "list", "--json").reports}[queue]


def _holder(machine):
    return f"{socket.gethostname()}:{machine.workers[0].pid}"
