import pytest

from askonce.cli.letters import DeadLetters
from producer.client import Client
from tests.deadlines import stretched

pytestmark = [pytest.mark.fault, pytest.mark.redis_broker("has brokers of its own")]

JOBS = 100


def options(n):
    return {"countdown": 2.0} if n == 0 else {"priority": 3 * (n % 2)}


@pytest.mark.long
def test_hundred_jobs_through_one_slot_are_a_hundred_messages(stage):
    stage.start_worker("other")
    handles = [stage.app.call.enqueue({"n": n}, **options(n)).handle for n in range(JOBS)]
    stage.start_worker("slow")

    answers = stage.answers(handles)

    assert list(range(JOBS)) == answers
    assert dict.fromkeys(range(JOBS), 1) == stage.called()
    received = stage.received()
    assert (JOBS, JOBS) == (len(received), received.total())


@pytest.mark.long
def test_message_lost_in_a_long_queue_is_found_after_those_before_it(redis_stage):
    stage, jobs = redis_stage, 60
    stage.start_worker("other")
    handles = stage.enqueue(jobs)
    assert jobs == stage.waiting()
    # The oldest message is the last of the list.
    lost = stage.client.lindex("slow", -20)
    assert 1 == stage.client.lrem("slow", 1, lost)
    stage.start_worker("slow")

    answers = stage.answers(handles)

    assert list(range(jobs)) == answers
    assert dict.fromkeys(range(jobs), 1) == stage.called()
    assert jobs == stage.received().total()
    assert 19 < stage.calls().index(19)


def test_every_message_of_a_job_goes_where_the_first_one_went(stage, kill_group):
    stage.start_worker("other")
    first = stage.start_worker("slow")
    routing = {"queue": "slow", "priority": 3, "headers": {"trace": "t-1"}, "time_limit": 75}
    stage.app.routed.enqueue({"n": 1}, **routing)
    first.wait(stretched(60))
    stage.start_worker("slow")
    stage.eventually(stage.store.letters.dead_jobs, 60)

    specs = {"routed": stage.app.routed.job_spec}
    client = Client(specs=specs, store=stage.store, producer=stage.app.once.producer)
    [letter] = DeadLetters(client).matching(task=None, reason=None)
    done = letter.replay()

    stage.eventually(lambda: stage.client.llen("came") == 4, 60)
    came = set(stage.client.lrange("came", 0, -1))
    assert ("admitted", True) == done
    assert 1 == len(came)
    assert repr(("slow", 3, "t-1", [75.0, None])) in came
