import pytest

from askonce.controls import Pause
from askonce.job import Routing
from askonce.lost import Delivered, Resent
from askonce.record import HANDED_OUT, LOOKS, MAX_RESENDS, Status
from askonce.store import Admission, Start, Write

# One suite for every store: which job of a queue is lost, and who sends its message again.

SLOW = {"routing": Routing("slow")}


def ids(lost):
    return [each.job.id for each in lost]


def neighbours(scene, count):
    """Return other keys of the same bucket."""
    return [scene.at(f"{scene.key[:-4]}{n:04x}") for n in range(1, count + 1)]


def look_until_found(scene, minutes, **options):
    """Look once a minute; return what was found, and after how many looks."""
    for minute in range(minutes):
        if lost := scene.reap(**options):
            return lost, minute
        scene.clock.advance(60)
    return [], minutes


@pytest.mark.parametrize(
    "options",
    [{}, {"routing": Routing("slow", 3)}, {**SLOW, "countdown": 60.0}],
    ids=["plain", "priority", "due"],
)
def test_long_queue_is_no_lost_message_for_eight_hours(scene, options):
    scene.admit(**{**SLOW, **options})
    sent = 1
    if "countdown" in options:
        scene.clock.advance(60)
        assert ["job-1"] == ids(scene.resend(delivered=[]))

    for minute in range(8 * 60):
        scene.clock.advance(60)
        sent += len(scene.reap(delivered=[Delivered("", seconds=0.0)]))
        sent += scene.admit(f"late-{minute}", **SLOW).outcome is not Admission.ATTACHED

    assert (1, Status.QUEUED) == (sent, scene.read().status)
    assert Start.GRANTED is scene.start().outcome


def test_lost_message_is_found_when_later_ones_were_delivered(scene):
    first, second = neighbours(scene, 2)
    for each, job in ((scene, "job-0"), (first, "job-1"), (second, "job-2")):
        each.admit(job, **SLOW)
        scene.clock.advance(5)
    scene.clock.advance(8 * 3600)
    waiting = scene.reap(delivered=[])

    sent_at = first.read().admitted_at
    lost, looks = look_until_found(scene, 15, delivered=[Delivered("slow", 0, sent_at)])

    assert ([], ["job-0"]) == (waiting, ids(lost))
    assert looks <= 10
    assert Admission.ATTACHED is second.admit("job-3").outcome


def test_message_is_lost_a_second_after_its_queue_passed_it(scene):
    sent_at = scene.admit(**SLOW).record.now
    scene.clock.advance(60)

    before = scene.reap(delivered=[Delivered("slow", 0, sent_at + 1000)])
    scene.clock.advance(60)

    assert [] == before
    assert ["job-1"] == ids(scene.reap(delivered=[Delivered("slow", 0, sent_at + 1001)]))


@pytest.mark.parametrize(
    ("report", "is_lost"),
    [
        (Delivered("slow", 3, seconds=0.0), True),
        (Delivered("slow", "*", seconds=0.0), True),
        (Delivered("slow", 0, seconds=0.0), False),
        (Delivered("slow", 6, seconds=0.0), False),
        (Delivered("fast", 3, seconds=0.0), False),
        (Delivered("", "*", seconds=0.0), False),
        (Delivered("slow", 3, seconds=59.5), False),
        (Delivered("slow", 3, seconds=58.0), True),
    ],
)
def test_each_queue_and_priority_has_its_own_progress(scene, report, is_lost):
    scene.admit(routing=Routing("slow", 3))
    scene.clock.advance(60)

    assert is_lost is bool(scene.reap(delivered=[report]))


def test_message_without_a_priority_has_the_lowest_number(scene):
    scene.admit(**SLOW)
    scene.clock.advance(60)

    assert ["job-1"] == ids(scene.reap(delivered=[Delivered("slow", 0, seconds=0.0)]))


def test_progress_never_goes_back(scene):
    scene.admit(**SLOW)
    scene.clock.advance(60)
    scene.deliver("slow", 0)

    scene.reap(0, delivered=[Delivered("slow", 0, sent_at=1), Delivered("slow", 0, seconds=600.0)])

    assert Admission.RESEND is scene.admit("job-2").outcome


def test_progress_in_the_future_proves_nothing_and_is_forgotten(scene):
    scene.admit(**SLOW)
    scene.clock.advance(60)
    ahead = int((scene.clock() + 3600) * 1000)

    scene.reap(0, delivered=[Delivered("slow", 0, sent_at=ahead)])

    assert Admission.ATTACHED is scene.admit("job-2").outcome
    assert ["job-1"] == ids(scene.reap(delivered=[Delivered("slow", 0, seconds=0.0)]))


def test_progress_by_a_clock_that_was_set_back_is_forgotten(scene):
    scene.clock.advance(3600)
    scene.deliver("slow", 0)
    scene.clock.advance(-3600)
    scene.admit(**SLOW)
    scene.clock.advance(60)

    assert [] == scene.reap(delivered=[Delivered("slow", 0, seconds=300.0)])


def test_resent_message_waits_for_the_progress_of_its_queue(scene):
    scene.admit(**SLOW)
    scene.clock.advance(60)
    scene.deliver("slow")
    scene.resend(delivered=[])
    scene.clock.advance(8 * 3600)

    assert [] == scene.reap(delivered=[])
    assert (1, Admission.ATTACHED) == (scene.read().resent, scene.admit("job-2").outcome)


def test_lost_job_is_handed_out_again_after_a_while(scene):
    scene.admit()
    scene.clock.advance(60)

    first, second = scene.reap(), scene.reap()
    scene.clock.advance(HANDED_OUT - 0.001)
    third = scene.reap()
    scene.clock.advance(0.001)

    assert (["job-1"], [], []) == (ids(first), second, third)
    assert ["job-1"] == ids(scene.reap())


def test_lost_job_is_handed_out_again_after_its_queue_deadline(scene):
    scene.admit(queue_deadline=9.0)
    scene.clock.advance(9)

    first = scene.reap()
    scene.clock.advance(9)

    assert (["job-1"], ["job-1"]) == (ids(first), ids(scene.reap()))


def test_job_in_a_reapers_hands_is_no_callers(scene):
    scene.admit()
    scene.clock.advance(60)
    scene.reap()

    assert Admission.ATTACHED is scene.admit("job-2").outcome


def test_job_in_a_callers_hands_is_no_reapers(scene):
    scene.admit()
    scene.clock.advance(60)
    scene.deliver()
    scene.admit("job-2")

    assert [] == scene.reap()
    assert Admission.ATTACHED is scene.admit("job-3").outcome


def test_reply_of_reap_that_is_lost_costs_time_only(scene):
    scene.admit()
    scene.clock.advance(60)
    for _ in range(3 * MAX_RESENDS):
        assert ["job-1"] == ids(scene.reap())
        scene.clock.advance(HANDED_OUT)

    assert (0, Status.QUEUED) == (scene.read().resent, scene.read().status)
    assert Start.GRANTED is scene.start().outcome


def test_message_that_is_sent_again_is_counted_once(scene):
    scene.admit()
    scene.clock.advance(60)
    [lost] = scene.reap()
    sent = Resent(scene.key, "job-1", lost.sent_at)

    outcomes = [scene.store.resent([sent]), scene.store.resent([sent, sent])]

    assert [[Write.OK], [Write.OK, Write.OK]] == outcomes
    assert (1, 120.0) == (scene.read().resent, scene.read().deadline_in)


def test_late_report_of_a_sent_message_changes_nothing(scene):
    scene.admit()
    scene.clock.advance(60)
    [lost] = scene.reap()
    scene.start()
    before = scene.read()
    unknown = scene.at(scene.key[:-1] + "1")

    outcomes = scene.store.resent(
        [
            Resent(scene.key, "job-1", lost.sent_at),
            Resent(scene.key, "job-2", lost.sent_at),
            Resent(unknown.key, "job-1", lost.sent_at),
        ]
    )

    assert [Write.FENCED, Write.FENCED, Write.ABSENT] == outcomes
    assert before == scene.read()


def test_look_returns_so_many_jobs_at_most(scene):
    for n, each in enumerate(neighbours(scene, 5)):
        each.admit(f"job-{n}")
    scene.clock.advance(60)

    assert [0, 2, 2, 1, 0] == [len(scene.reap(jobs)) for jobs in (0, 2, 2, 2, 2)]


def test_look_returns_so_many_bytes_at_most(scene):
    for n, each in enumerate(neighbours(scene, 5)):
        each.admit(f"job-{n}", payload=b"x" * 1000)
    scene.clock.advance(60)

    assert [2, 1, 2] == [len(scene.reap(size=size)) for size in (2500, 1, 1 << 20)]


def test_job_too_large_for_a_look_is_no_obstacle(scene):
    small, large = neighbours(scene, 2)
    large.admit("large", payload=b"x" * 5000)
    scene.clock.advance(1)
    small.admit("small")
    scene.clock.advance(60)

    assert [["large"], ["small"]] == [ids(scene.reap(size=100)) for _ in range(2)]


@pytest.mark.parametrize("held_by", ["a long queue", "a pause"])
def test_jobs_that_wait_hold_up_no_others(scene, held_by):
    for n, each in enumerate(neighbours(scene, LOOKS + 20)):
        each.admit(f"slow-{n}", **SLOW)
    scene.clock.advance(1)
    scene.admit(task="lookups")
    scene.clock.advance(60)
    delivered = [Delivered("", seconds=0.0)]
    if held_by == "a pause":
        scene.store.controls.pause(Pause("task", "orders"), "")
        delivered.append(Delivered("slow", seconds=0.0))

    found = [ids(scene.reap(delivered=delivered)) for _ in range(3)]

    assert ["job-1"] == [job for some in found for job in some]


def test_long_queue_after_many_resends_is_no_dead_letter(scene):
    scene.admit(**SLOW)
    for _ in range(MAX_RESENDS):
        scene.clock.advance(scene.read().deadline_in)
        scene.deliver("slow")
        scene.resend(delivered=[])
    scene.clock.advance(scene.read().deadline_in + 600)
    scene.reap(delivered=[])
    before = scene.read().status, scene.admit("job-2").outcome
    scene.deliver("slow")

    assert (MAX_RESENDS, Status.QUEUED, Admission.ATTACHED) == (scene.read().resent, *before)
    assert Admission.NEGATIVE is scene.admit("job-3").outcome


@pytest.mark.parametrize("back", ["fail", "park"])
def test_message_that_is_counted_after_its_run_holds_up_no_later_one(scene, back):
    scene.admit()
    scene.clock.advance(60)
    [lost] = scene.reap()
    scene.start()
    {"fail": lambda: scene.fail(after=1.0), "park": lambda: scene.park(after=1.0)}[back]()

    counted = scene.store.resent([Resent(scene.key, "job-1", lost.sent_at)])
    scene.clock.advance(1)

    assert [Write.FENCED] == counted
    assert ["job-1"] == [each.job.id for each in scene.reap()]
