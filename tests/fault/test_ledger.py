"""A thousand jobs, a killed worker, a minute without the store: every way of watching beside the ledger."""

import sys
from threading import Event

import pytest

from tests.deadlines import stretched
from tests.fault.conftest import kill_with_children
from tests.fault.watching import Watched, disagreeing, shown

pytestmark = [
    pytest.mark.fault,
    pytest.mark.long,
    pytest.mark.redis_broker("its servers and links are Redis's"),
    pytest.mark.timeout(900),
]

JOBS, OUTAGE = 500, 60.0


@pytest.fixture
def watched(new_linked_scene, eventually):
    return Watched(new_linked_scene(), eventually)


def meetings(how_many):
    """Meetings of some lengths, so that calls have different prices."""
    return [
        {
            "meeting_id": f"m-{n}",
            "transcript": "\n".join(f"Ana: We ship version {n}.{m}." for m in range(n % 9 + 1)),
        }
        for n in range(how_many)
    ]


def end(watched, worker):
    """End a worker, which first stores what waits for the store."""
    worker.terminate()
    assert 0 == worker.wait(stretched(60))
    assert "job.unkept" not in watched.scene.log("steady")
    wait_for_flower(watched)


def wait_for_flower(watched):
    """Wait until Flower knows each answer: a worker's events wait for each other, and for Flower."""
    watched.eventually(lambda: not disagreeing({"ledger": watched.logs(), "flower": watched.flower()}), 30)


def hold_calls(watched):
    """Hold calls until each answer so far is stored, logged and shown: only what is under way is in doubt."""
    watched.machine.control(hold=True)
    assert watched.machine.wait_for_held(1, stretched(60))
    watched.eventually(lambda: watched.ledger()[:2] == watched.logs()[:2] == watched.booked(), 60)
    wait_for_flower(watched)


def lose(watched, worker):
    """Kill *worker* while it runs jobs."""
    hold_calls(watched)
    watched.eventually(lambda: watched.is_running_jobs(worker.pid), 60)
    kill_with_children(worker)
    watched.machine.control(hold=False)


def work_without_the_store(watched):
    """Let calls end, and a minute go by, without the store."""
    hold_calls(watched)
    with watched.scene.to_records.blocked():
        watched.machine.control(hold=False)
        Event().wait(OUTAGE)
        watched.scene.to_records.cut()


def answered(watched, calls):
    watched.eventually(lambda: watched.machine.ledger.openai.answered >= calls, 120)


def test_every_way_of_watching_agrees_with_the_ledger(watched):
    steady, doomed = watched.start_worker("steady"), watched.start_worker("doomed")
    watched.start_flower()
    rows = meetings(JOBS)
    producer = watched.submit(rows + rows)
    answered(watched, JOBS // 5)
    lose(watched, doomed)
    answered(watched, JOBS // 3)
    work_without_the_store(watched)

    assert 0 == producer.wait(stretched(600))
    end(watched, steady)

    table = watched.table()
    sys.stdout.write(f"\n{shown(table)}\n")
    assert set() == disagreeing(table), shown(table)
    doubt = {said.in_doubt for said in table.values()} - {None}
    assert 1 == len(doubt)
    assert 0 not in doubt, "calls of the killed worker"
    assert {JOBS} == {said.duplicates for said in table.values()} - {None}


def test_booking_that_is_dropped_is_noticed(watched):
    steady = watched.start_worker("steady", "-I", "tests.fault.forgetful")
    watched.start_flower()
    producer = watched.submit(meetings(20))
    assert 0 == producer.wait(stretched(60))
    end(watched, steady)

    assert {"cost", "metrics"} == disagreeing(watched.table())
