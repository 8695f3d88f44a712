import pytest

from askonce.controls import NAME_KEPT, NOTE_KEPT, Pause
from askonce.job import Routing
from askonce.lost import Delivered
from askonce.record import PAUSE_REST, RESUMED_LOOKS, Status
from askonce.store import Admission, Renewal, Start, Write

# One suite for every store: pauses hold jobs back.

JOB = {"task": "orders", "tenant": "acme", "run": "night", "model": "small", "version": "2"}
JOB |= {"routing": Routing("slow", 3)}
QUEUES = [Pause("all"), Pause("queue", "slow")]
HOLD = [
    *QUEUES,
    Pause("task", "orders"),
    Pause("tenant", "acme"),
    Pause("run", "night"),
    Pause("model", "small"),
]
OTHERS = [
    Pause("task", "lookups"),
    Pause("tenant", "other"),
    Pause("run", "day"),
    Pause("model", "large"),
    Pause("tenant", "orders"),
    Pause("queue", "fast"),
]


@pytest.mark.parametrize("pause", HOLD, ids=str)
def test_paused_job_does_not_start(scene, pause):
    scene.admit(**JOB)
    scene.store.controls.pause(pause, "invoice")

    reply = scene.start()

    assert (Start.PAUSED, "invoice", "queued", 0) == (
        reply.outcome,
        reply.record.paused,
        reply.record.flight,
        reply.record.attempts,
    )


@pytest.mark.parametrize("pause", OTHERS, ids=str)
def test_pause_of_others_holds_back_nothing(scene, pause):
    scene.admit(**JOB)
    scene.store.controls.pause(pause, "invoice")

    assert scene.read().paused is None
    assert Start.GRANTED is scene.start().outcome


@pytest.mark.parametrize("pause", HOLD, ids=str)
def test_job_is_sent_and_starts_after_its_pause(scene, pause):
    scene.admit(**JOB)
    scene.store.controls.pause(pause, "invoice")
    scene.start()
    scene.clock.advance(3600)
    during = scene.reap(), scene.reap()

    assert scene.store.controls.resume(pause)
    lost = scene.reap(delivered=[])

    assert ([], []) == during
    assert ["job-1"] == [each.job.id for each in lost]
    assert Start.GRANTED is scene.start("owner-2").outcome


def test_job_whose_message_came_to_nothing_is_sent_after_its_pause(scene):
    scene.store.controls.pause(Pause("all"), "")
    scene.admit()
    scene.clock.advance(8 * 3600)
    during = scene.reap(), scene.admit("job-2").outcome

    scene.store.controls.resume(Pause("all"))

    assert ([], Admission.ATTACHED) == during
    assert ["job-1"] == [each.job.id for each in scene.reap()]
    assert 0 == scene.read().resent


def test_resumed_job_may_still_expire(scene):
    scene.store.controls.pause(Pause("all"), "")
    scene.admit(expires=600.0)
    for _ in range(9):
        scene.clock.advance(60)
        scene.reap()
    scene.store.controls.resume(Pause("all"))
    scene.clock.advance(20)

    assert ["job-1"] == [each.job.id for each in scene.reap()]


def test_resumed_job_with_a_far_expiry_is_looked_at_at_once(scene):
    scene.store.controls.pause(Pause("all"), "")
    scene.admit(expires=3600.0)
    scene.clock.advance(60)
    scene.reap()
    scene.store.controls.resume(Pause("all"))
    scene.clock.advance(PAUSE_REST)

    assert ["job-1"] == [each.job.id for each in scene.reap()]


def test_call_under_way_is_not_paused(scene):
    scene.run()
    scene.store.controls.pause(Pause("all"), "")

    assert [Renewal.OK, Write.OK] == [scene.renew(), scene.complete()]
    assert Status.DONE is scene.read().status


def test_job_of_a_dead_worker_is_held_back_too(scene):
    scene.run()
    scene.store.controls.pause(Pause("all"), "")
    scene.clock.advance(30)

    assert Start.PAUSED is scene.start("owner-2").outcome


def test_fresh_answer_is_served_during_a_pause(scene):
    scene.done()
    scene.store.controls.pause(Pause("all"), "")

    assert Admission.HIT is scene.admit("job-2").outcome


def test_caller_of_a_paused_job_gets_the_note(scene):
    scene.store.controls.pause(Pause("task", "orders"), "invoice")

    first, second = scene.admit(), scene.admit("job-2")

    assert [Admission.ADMITTED, Admission.ATTACHED] == [first.outcome, second.outcome]
    assert ["invoice", "invoice", "invoice"] == [
        seen.paused for seen in (first.record, second.record, scene.read())
    ]


def test_pauses_are_listed_with_their_notes(scene):
    for pause in HOLD:
        scene.store.controls.pause(pause, f"{pause.scope}: é")

    listed = scene.store.controls.pauses()
    ended = [scene.store.controls.resume(pause) for pause in (*HOLD, *HOLD)]

    assert {pause: f"{pause.scope}: é" for pause in HOLD} == listed
    assert [True] * len(HOLD) + [False] * len(HOLD) == ended
    assert {} == scene.store.controls.pauses()


def test_last_note_of_a_pause_is_kept_and_cut(scene):
    scene.store.controls.pause(Pause("all"), "first")
    scene.store.controls.pause(Pause("all"), "x" * 1000)

    assert {Pause("all"): "x" * NOTE_KEPT} == scene.store.controls.pauses()


def test_job_under_two_pauses_waits_for_both(scene):
    scene.admit()
    scene.store.controls.pause(Pause("all"), "")
    scene.store.controls.pause(Pause("task", "orders"), "invoice")
    scene.store.controls.resume(Pause("all"))

    assert (Start.PAUSED, "invoice") == (scene.start().outcome, scene.read().paused)


def test_every_job_that_a_pause_put_aside_is_taken_up_again(scene):
    scene.store.controls.pause(Pause("all"), "")
    jobs = [scene.at(f"0a{number:062x}") for number in range(2 * RESUMED_LOOKS + 1)]
    for number, each in enumerate(jobs):
        each.admit(f"job-{number}")
        each.start(job=f"job-{number}")

    resumed = scene.store.controls.resume(Pause("all"))
    scene.clock.advance(PAUSE_REST)
    found = []
    while lost := scene.reap(jobs=1000):
        found += lost

    assert resumed
    assert {each.key for each in jobs} == {each.job.key for each in found}


@pytest.mark.parametrize(
    ("pause", "why"),
    [
        (Pause("all", "x"), "a pause of all has no name"),
        (Pause("queue"), "a pause names a queue: 1 to"),
        (Pause("run", "a\nb"), "a pause names a run: 1 to"),
        (Pause("tenant", "x" * (NAME_KEPT + 1)), "a pause names a tenant: 1 to"),
    ],
    ids=str,
)
def test_pause_that_no_job_can_have_is_refused(scene, pause, why):
    with pytest.raises(ValueError, match=why):
        scene.store.controls.pause(pause, "")

    assert {} == scene.store.controls.pauses()


@pytest.mark.parametrize("pause", QUEUES, ids=str)
def test_message_of_a_paused_queue_goes_back_and_is_the_only_one(scene, pause):
    scene.admit(**JOB, queue_deadline=60.0)
    scene.clock.advance(30)
    scene.store.controls.pause(pause, "invoice")

    reply = scene.start(returns=True)
    during = []
    for _ in range(8):
        scene.clock.advance(3600)
        during += scene.reap(delivered=[Delivered("slow", 3, sent_at=1)])
    scene.store.controls.resume(pause)
    after = scene.reap(delivered=[])
    granted = scene.start("owner-2", returns=True)

    assert (Start.RETURNED, "invoice", "queued", 0) == (
        reply.outcome,
        reply.record.paused,
        reply.record.flight,
        reply.record.attempts,
    )
    assert ([], []) == (during, after)
    assert (Start.GRANTED, 1) == (granted.outcome, granted.record.attempts)


def test_message_that_went_back_is_not_lost_by_what_was_delivered_before(scene):
    scene.admit(**JOB, queue_deadline=60.0)
    scene.clock.advance(30)
    scene.deliver("slow", 3)
    scene.store.controls.pause(QUEUES[1], "")
    scene.clock.advance(1)
    scene.start(returns=True)
    scene.store.controls.resume(QUEUES[1])
    scene.clock.advance(3600)

    assert [] == scene.reap(delivered=[])
    assert not scene.read().lost


@pytest.mark.parametrize("pause", [pause for pause in HOLD if pause not in QUEUES], ids=str)
def test_message_of_a_queue_that_is_not_paused_is_not_given_back(scene, pause):
    scene.admit(**JOB)
    scene.store.controls.pause(pause, "invoice")

    assert Start.PAUSED is scene.start(returns=True).outcome


def test_message_that_is_lost_on_its_way_back_is_sent_again_after_the_pause(scene):
    scene.admit(**JOB)
    scene.store.controls.pause(QUEUES[1], "")
    scene.start(returns=True)
    scene.store.controls.resume(QUEUES[1])
    scene.clock.advance(61)

    assert ["job-1"] == [each.job.id for each in scene.reap(delivered=[Delivered("slow", seconds=0.0)])]


@pytest.mark.parametrize("pause", QUEUES, ids=str)
def test_queue_that_is_paused_for_long_gets_no_second_message(scene, pause):
    scene.admit(**JOB, queue_deadline=60.0)
    scene.store.controls.pause(pause, "")
    found = []
    for _ in range(16):
        scene.clock.advance(1800)
        found += scene.reap(delivered=[])
    scene.store.controls.resume(pause)
    for _ in range(3):
        scene.clock.advance(60)
        found += scene.reap(delivered=[])

    assert [] == found
    assert Start.GRANTED is scene.start().outcome
