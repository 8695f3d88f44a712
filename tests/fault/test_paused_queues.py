from collections import Counter
from itertools import pairwise

import pytest

from askonce import Workers
from askonce.controls import Pause
from askonce.record import BUCKETS
from tests.deadlines import stretched

pytestmark = [pytest.mark.fault, pytest.mark.redis_broker("has brokers of its own"), pytest.mark.long]

JOBS = 30
QUEUE = Pause("queue", "slow")
SCOPES = pytest.mark.parametrize("pause", [QUEUE, Pause("all")], ids=str)


@SCOPES
def test_paused_queue_keeps_its_messages_and_their_order(stage, pause):
    stage.start_worker("other")
    handles = stage.enqueue(JOBS)
    stage.start_worker("slow")
    stage.eventually(lambda: len(stage.calls()) >= 3, 30)

    stage.controls.pause(pause, "ana: invoice")
    begun = len(stage.calls())
    stage.wait_for_log(1, "worker.paused queues=slow")
    # What was taken is answered, or is back.
    stage.eventually(lambda: stage.waiting() + len(stage.calls()) == JOBS, 30)
    held = [record.paused for record in stage.records(handles) if record.flight == "queued"]
    kept = stage.waiting()
    stage.start_worker("slow")
    stage.wait_for_log(2, "worker.paused queues=slow")

    assert len(stage.calls()) <= begun + 1
    assert kept == stage.waiting()
    assert ["ana: invoice"] * kept == held

    stage.controls.resume(pause)
    answers = [handle.result(stretched(60)) for handle in handles]

    assert list(range(JOBS)) == [answer.value for answer in answers]
    assert {1} == {answer.attempts for answer in answers}
    assert list(range(JOBS)) == sorted(stage.calls())
    stage.eventually(lambda: stage.waiting() == 0, 30)


def sent(stage):
    """Return how many messages were put into queues."""
    return stage.client.info("commandstats")["cmdstat_lpush"]["calls"]


def test_queue_that_is_paused_again_and_again_is_worked_off_in_its_order(redis_stage):
    stage = redis_stage
    handles = stage.enqueue(JOBS)
    stage.start_worker("slow")
    for times in range(1, 5):
        stage.eventually(lambda: len(stage.calls()) >= 3 * times, 30)  # noqa: B023  # called at once
        stage.controls.pause(QUEUE, "ana")
        stage.eventually(lambda: stage.log_of(0).count("worker.paused") == times, 30)  # noqa: B023  # the same
        stage.controls.resume(QUEUE)

    answers = [handle.result(stretched(60)) for handle in handles]

    assert {1} == {answer.attempts for answer in answers}
    assert list(range(JOBS)) == stage.calls()
    assert JOBS == sent(stage)


def look_times(stage):
    """Return when reapers look at the jobs in flight, in milliseconds."""
    indexes = [f"{{askonce:queues:b{bucket:02x}}}:idx" for bucket in range(BUCKETS)]
    return [time for name in indexes for _, time in stage.client.zrange(name, 0, -1, withscores=True)]


@SCOPES
def test_paused_queue_gets_no_second_message_however_long_it_is_paused(redis_stage, pause):
    stage = redis_stage
    stage.controls.pause(pause, "ana")
    handles = stage.enqueue(JOBS)
    stage.start_worker("slow", slots=4)
    far = stage.client.time()[0] * 1000 + 3_600_000
    # All deadlines are over then, and reapers have put the jobs aside.
    stage.eventually(lambda: all(time > far for time in look_times(stage)), 30)
    during = stage.waiting(), stage.calls()

    stage.controls.resume(pause)
    answers = [handle.result(stretched(60)) for handle in handles]

    assert (JOBS, []) == during
    assert {1} == {answer.attempts for answer in answers}
    assert (list(range(JOBS)), JOBS) == (sorted(stage.calls()), sent(stage))


def test_worker_that_starts_takes_nothing_of_a_paused_queue(redis_stage):
    stage = redis_stage
    stage.controls.pause(QUEUE, "ana")
    [handle] = stage.enqueue(1)
    stage.start_worker("slow", "other")
    before, _, _ = stage.log_of(0).partition(" ready.")

    # The pause is known before it is ready.
    assert "worker.paused queues=slow" in before
    assert Counter() == stage.received()
    [announced] = stage.eventually(stage.store.announcements.workers)
    assert ("other", "slow") == announced.queues
    assert Workers.PAUSED is stage.app.once.listening("call").workers
    stage.controls.resume(QUEUE)
    assert 0 == handle.result(stretched(30)).value


def test_resume_takes_up_only_queues_that_the_pause_stopped(redis_stage):
    stage = redis_stage
    stage.start_worker("slow", "other")
    stage.app.app.control.cancel_consumer("other", reply=True, timeout=stretched(10), limit=1)
    stage.wait_for_log(0, "Canceling queue other")
    stage.controls.pause(Pause("all"), "")
    stage.wait_for_log(0, "worker.paused queues=slow")
    stage.app.app.control.add_consumer("other", reply=True, timeout=stretched(10), limit=1)
    stage.wait_for_log(0, "worker.paused queues=other")
    stage.app.app.control.cancel_consumer("other", reply=True, timeout=stretched(10), limit=1)
    stage.eventually(lambda: stage.log_of(0).count("Canceling queue other") == 3, 30)

    stage.controls.resume(Pause("all"))
    [handle] = stage.enqueue(1)

    assert 0 == handle.result(stretched(30)).value
    assert "worker.resumed queues=slow\n" in stage.log_of(0)


def test_pause_outlives_a_lost_connection_to_the_broker(redis_stage):
    stage = redis_stage
    stage.start_worker("slow")
    stage.controls.pause(QUEUE, "")
    stage.wait_for_log(0, "worker.paused queues=slow")
    stage.client.client_kill_filter(_type="normal", skipme=True)
    stage.wait_for_log(0, "Connected to")
    stage.eventually(lambda: stage.log_of(0).count("Connected to") == 2, 30)
    [handle] = stage.enqueue(1)
    stage.start_worker("slow")
    stage.wait_for_log(1, "worker.paused queues=slow")

    assert (1, []) == (stage.waiting(), stage.calls())
    stage.controls.resume(QUEUE)
    assert 0 == handle.result(stretched(30)).value


@pytest.mark.parametrize("pool", ["prefork", "solo", "gevent"])
def test_every_pool_leaves_a_paused_queue_alone(redis_stage, pool):
    if pool == "gevent":
        pytest.importorskip("gevent")
    stage = redis_stage
    handles = stage.enqueue(20)
    stage.start_worker("slow", pool=pool, slots=1 if pool == "solo" else 2)
    stage.eventually(lambda: len(stage.calls()) >= 3, 30)
    stage.controls.pause(QUEUE, "")
    begun = len(stage.calls())
    stage.wait_for_log(0, "worker.paused queues=slow")
    stage.eventually(lambda: stage.waiting() + len(stage.calls()) == 20, 30)

    assert len(stage.calls()) <= begun + 2
    stage.controls.resume(QUEUE)
    assert {1} == {handle.result(stretched(60)).attempts for handle in handles}
    assert (list(range(20)), 20) == (sorted(stage.calls()), sent(stage))


@pytest.mark.parametrize("pool", ["threads", "prefork"])
def test_messages_that_wait_in_a_worker_go_back_in_order(redis_stage, pool):
    stage = redis_stage
    handles = stage.enqueue(JOBS)
    stage.start_worker("slow", pool=pool, prefetch=8)
    for times in (1, 2):
        stage.eventually(lambda: len(stage.calls()) >= 3 * times, 30)  # noqa: B023  # called at once
        stage.controls.pause(QUEUE, "ana")
        stage.eventually(lambda: stage.waiting() + len(stage.calls()) == JOBS, 30)
        stage.controls.resume(QUEUE)

    answers = [handle.result(stretched(60)) for handle in handles]

    assert {1} == {answer.attempts for answer in answers}
    assert (list(range(JOBS)), JOBS) == (sorted(stage.calls()), sent(stage))
    assert "reject requeue=True: paused" in stage.log_of(0)
    assert "Traceback" not in stage.log_of(0)
    # At each pause one message may be on its way: it comes back after the others, and is before them then.
    assert sum(one > other for one, other in pairwise(stage.calls())) <= 2


def test_many_workers_give_back_what_they_hold_in_order(redis_stage):
    stage, jobs, slots = redis_stage, 600, 8
    handles = stage.enqueue(jobs)
    for _ in range(2):
        stage.start_worker("slow", slots=slots)
    for done in (100, 300):
        stage.eventually(lambda: len(stage.calls()) >= done, 60)  # noqa: B023  # called at once
        stage.controls.pause(QUEUE, "ana")
        stage.eventually(lambda: stage.waiting() + len(stage.calls()) == jobs, 30)
        stage.controls.resume(QUEUE)

    answers = [handle.result(stretched(90)) for handle in handles]

    assert {1} == {answer.attempts for answer in answers}
    assert (jobs, jobs) == (len(stage.calls()), sent(stage))
    assert max(abs(n - place) for place, n in enumerate(stage.calls())) <= 4 * slots
