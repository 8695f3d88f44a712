import re
from collections import Counter
from hashlib import sha1

import pytest

from askonce.adapters.redis.scripts import sources
from tests.deadlines import stretched

pytestmark = [
    pytest.mark.fault,
    pytest.mark.redis_broker("its servers and links are Redis's"),
    pytest.mark.long,
]

#: Seconds; longer than the silence, so that the job stays with its worker.
LONG_LEASE = "30"
#: What opens a breaker.
ERRORS = 3


@pytest.mark.parametrize(
    "together", [pytest.param(False, marks=pytest.mark.long), True], ids=["broker apart", "one server"]
)
def test_silent_store_is_an_error_in_a_second_and_loses_nothing(new_linked_scene, together):
    scene = new_linked_scene(together=together, JOB_LEASE=LONG_LEASE)
    scene.machine.start_worker("-P", "threads", "-c", "8")
    running = scene.hold_meetings(2)
    asker, meetings = scene.new_asker(), scene.meetings(6)
    assert "Admitted" == asker.ask("orders.enrich", {"order_id": "warm-up", "cliente_id": 1})["asked"]

    with scene.to_records.blocked():
        told = [asker.ask("meetings.extract", meeting) for meeting in meetings]
        scene.let_go()
        scene.eventually(lambda: scene.log().count("job.unstored") == 2, 60)

    # Of those who waited for the store: a busy machine may hold up some of them.
    assert min(answer["seconds"] for answer in told[:ERRORS]) < stretched(1.0)
    if together:
        assert [("StoreUnavailable", "TimeoutError")] * ERRORS == [
            refused(answer) for answer in told[:ERRORS]
        ]
        assert ("StoreUnavailable", "breaker_open") in map(refused, told[ERRORS:]), "these need not wait"
        scene.eventually(
            lambda: asker.ask("meetings.extract", meetings[0])["asked"] != "StoreUnavailable", 60
        )
        # What a silent link held back may have arrived after all, so some of these may be under way.
        told = [asker.ask("meetings.extract", meeting) for meeting in meetings]
    else:
        assert [("Admitted", True)] * 6 == [(answer["asked"], answer["degraded"]) for answer in told]
    scene.wait_until_done([*running, *(answer["key"] for answer in told)], 90)

    scene.eventually(lambda: scene.log().count("job.stored_late") >= 2, 60)
    calls, log = scene.machine.ledger.openai, scene.log()
    assert (8, 8, 0) == (calls.calls, calls.answered, calls.surplus)
    # On a busy machine the store was silent for more of the calls.
    assert log.count("outcome=ok") == log.count("job.stored_late") >= 2
    assert "job.fenced" not in log


def test_job_that_needs_the_silent_store_rests_and_is_one_call(new_linked_scene):
    scene = new_linked_scene()
    scene.machine.start_worker("-P", "threads", "-c", "4")
    asker = scene.new_asker()

    with scene.to_records.blocked():
        # Each is asked for twice, and nobody can tell: there are two messages.
        told = [asker.ask("meetings.extract", meeting) for meeting in scene.meetings(3) * 2]
        scene.eventually(lambda: rests(scene) == 6, 40)
        assert 0 == scene.machine.ledger.openai.calls
    keys = [answer["key"] for answer in told[:3]]
    scene.wait_until_done(keys, 40)

    scene.wait_until_quiet()

    assert (3, 0) == (scene.machine.ledger.openai.calls, scene.machine.ledger.openai.surplus)
    assert [1, 1, 1] == [scene.record(key).attempts for key in keys]


def rests(scene):
    """How many messages were put back because their start could not ask."""
    messages = [*scene.queue.messages(), *scene.client.hvals("{jobs}:unacked")]
    return sum(b'"retries": ' in text and b'"retries": 0' not in text for text in map(unquoted, messages))


def unquoted(message):
    # What was taken is noted as JSON in JSON.
    return message.replace(b'\\"', b'"')


def degraded(scene):
    """Return where each job that ran without the store got its answer."""
    return re.findall("job.degraded .* policy=local source=(\\w+)", scene.log())


def test_job_that_may_run_without_the_store_is_one_call(new_linked_scene):
    scene = new_linked_scene()
    scene.machine.start_worker("-P", "threads", "-c", "4")
    asker = scene.new_asker()

    with scene.to_records.blocked():
        told = [asker.ask("customers.lookup", {"cliente_id": "1"}) for _ in range(5)]
        # Jobs that are taken once the store is back are no longer degraded.
        scene.eventually(lambda: len(degraded(scene)) == 5, 30)
        assert 1 == scene.machine.ledger.customers.calls
    [key] = {answer["key"] for answer in told}
    scene.wait_until_done([key], 30)

    sources = Counter(degraded(scene))
    assert [("Admitted", True)] * 5 == [(answer["asked"], answer["degraded"]) for answer in told]
    # One call; the others got its answer while it was made or afterwards.
    assert (1, 5) == (sources["call"], sources.total())
    assert {"call", "shared", "cache"} >= sources.keys()
    assert 1 == scene.machine.ledger.customers.calls
    scene.eventually(lambda: scene.log().count("job.stored_late") == 1, 30)


@pytest.mark.parametrize("pool", ["prefork", pytest.param("threads", marks=pytest.mark.long)])
def test_answer_that_an_ending_worker_cannot_store_is_paid_again(new_linked_scene, pool):
    scene = new_linked_scene()
    ending = scene.machine.start_worker("-P", pool, "-c", "1", name="ending")
    [key] = scene.hold_meetings(1)

    with scene.to_records.blocked():
        scene.let_go()
        scene.eventually(lambda: "job.unstored" in scene.log("ending"), 30)
        ending.terminate()
        assert 0 == ending.wait(stretched(60))
        scene.to_records.cut()
    scene.machine.start_worker("-P", pool, "-c", "1", name="other")
    scene.wait_until_done([key])

    calls = scene.machine.ledger.openai
    assert (2, 1) == (calls.answered, calls.surplus)
    assert 1 == scene.log("ending").count("job.unkept"), "the call that has to be made again is accounted for"
    assert 2 == scene.record(key).attempts


def test_message_whose_worker_reaches_no_server_is_not_lost(new_linked_scene):
    scene = new_linked_scene(together=True)
    [key] = scene.submit("meetings.extract", scene.meetings(1))
    # Without its record, so that nobody but the message knows of the job.
    scene.client.delete(*scene.client.keys("{askonce:*"))
    starts = scene.to_records.block_at(sha1(sources()["start"].encode()).hexdigest().encode())
    scene.machine.start_worker("-P", "threads", "-c", "4")
    assert starts.wait(stretched(30))

    with scene.to_records.refusing():
        scene.to_records.cut()
        scene.to_records.unblock()
        scene.eventually(lambda: "Cannot connect to" in scene.log(), 30)
        # As if the broker's visibility timeout had passed.
        [tag] = scene.client.hkeys("{jobs}:unacked")
        scene.client.zadd("{jobs}:unacked_index", {tag: 1})
    scene.wait_until_done([key], 30)
    scene.wait_until_quiet()

    assert (1, 1) == (scene.machine.ledger.openai.calls, scene.record(key).attempts)


def refused(answer):
    return answer["asked"], answer["reason"]


def test_outage_longer_than_the_leases_adds_no_call(new_linked_scene):
    scene = new_linked_scene(REAP_INTERVAL="5")
    scene.machine.start_worker("-P", "threads", "-c", "16")
    keys = scene.hold_meetings(8)
    held = [scene.record(key) for key in keys]

    with scene.to_records.blocked():
        scene.let_go()
        scene.eventually(lambda: scene.log().count("job.unstored") == 8, 60)
        scene.eventually(lambda: all(record.deadline_in < 0 for record in scene.store.read(keys)), 60)
        scene.to_records.cut()
    scene.wait_until_done(keys, 60)

    calls = scene.machine.ledger.openai
    assert (len(keys) + 1, 0) == (calls.answered, calls.surplus), scene.log()
    assert [each.fence for each in held] == [scene.record(key).value.fence for key in keys]
