import pytest

from askonce.lost import Delivered
from askonce.record import MAX_RESENDS, Snapshot, Status
from askonce.store import Admission, Cancellation, Start, Write

# One suite for every store: lost messages, dead workers, and the reaper.


def test_lost_message_is_sent_again_under_the_same_job(scene):
    scene.admit("job-1")
    scene.clock.advance(60)
    scene.deliver()

    reply = scene.admit("job-2")

    assert (Admission.RESEND, "job-1", 0) == (reply.outcome, reply.record.job, reply.record.resent)
    assert Admission.ATTACHED is scene.admit("job-3").outcome
    assert Start.GRANTED is scene.start("owner-1", "job-1").outcome


def test_claim_is_dead_exactly_at_its_deadline(scene):
    scene.admit("job-1")
    scene.clock.advance(59.999)
    scene.deliver()
    before = scene.admit("job-2")
    scene.clock.advance(0.001)

    assert (Admission.ATTACHED, Admission.RESEND) == (before.outcome, scene.admit("job-2").outcome)


def test_job_of_a_dead_worker_is_sent_again_under_the_same_job(scene):
    scene.run()
    scene.clock.advance(30)

    reply = scene.admit("job-2")

    assert (Admission.RESEND, "queued", "job-1") == (
        reply.outcome,
        reply.record.flight,
        reply.record.job,
    )
    assert 2 == scene.start("owner-2", "job-1").record.attempts


def test_one_of_many_callers_of_a_dead_job_sends_it_again(scene, at_once):
    scene.admit()
    scene.clock.advance(60)
    scene.deliver()

    outcomes = [reply.outcome for reply in at_once(lambda n: scene.admit(f"late-{n}"), 20)]

    assert (1, 19) == (outcomes.count(Admission.RESEND), outcomes.count(Admission.ATTACHED))


def test_admit_quarantines_a_dead_job_without_attempts_left(scene):
    scene.run(max_attempts=1)
    scene.clock.advance(30)

    reply = scene.admit("job-2")

    assert (Admission.NEGATIVE, Status.QUARANTINED) == (reply.outcome, reply.record.status)
    assert "attempts_spent" == reply.record.failure.reason


def test_one_of_two_workers_takes_over_a_lease_that_ran_out(scene):
    scene.run("owner-1")
    scene.clock.advance(30)
    seen_by_both = scene.read()

    second, third = scene.start("owner-2"), scene.start("owner-3")

    assert seen_by_both.deadline_in <= 0
    assert (Start.GRANTED, Start.BUSY) == (second.outcome, third.outcome)
    assert (Write.FENCED, Write.OK) == (scene.complete("owner-1"), scene.complete("owner-2", b"j2"))
    assert b"j2" == scene.read().value.data


def test_one_of_many_workers_takes_over_a_lease_that_ran_out(scene, at_once):
    scene.run("owner-1")
    scene.clock.advance(30)

    outcomes = [reply.outcome for reply in at_once(lambda n: scene.start(f"late-{n}"))]

    assert (1, 49) == (outcomes.count(Start.GRANTED), outcomes.count(Start.BUSY))


def test_reaper_returns_the_whole_job_and_queues_it_again(scene):
    scene.run()
    early = scene.reap()
    scene.clock.advance(30)

    [lost] = scene.reap()

    assert [] == early
    assert scene.job(admitted_at=lost.job.admitted_at) == lost.job
    assert (0, lost.sent_at) == (lost.resent, scene.read().now)
    assert ("queued", "owner-1") == (scene.read().flight, scene.read().owner)
    assert [] == scene.reap()


def test_reaper_waits_twice_as_long_after_each_resend(scene):
    scene.admit()
    scene.clock.advance(60)
    deadlines = []
    for _ in range(MAX_RESENDS):
        scene.resend()
        deadlines.append(scene.read().deadline_in)
        scene.clock.advance(deadlines[-1])

    assert [120.0, 240.0, 480.0, 960.0, 1920.0] == deadlines


def test_each_reaper_gets_a_lost_job_once(scene, at_once):
    for n in range(16):
        scene.at(f"{scene.key[:-2]}{n:02x}").admit(f"job-{n}")
    scene.clock.advance(60)

    found = [lost.job.id for part in at_once(lambda n: scene.reap(5), 8) for lost in part]

    assert sorted(f"job-{n}" for n in range(16)) == sorted(found)


def test_reaper_takes_the_longest_lost_first_up_to_its_limit(scene):
    for n in range(3):
        scene.at(f"{scene.key[:-1]}{n}").admit(f"job-{n}")
        scene.clock.advance(1)
    scene.clock.advance(60)

    assert [["job-0", "job-1"], ["job-2"]] == [[lost.job.id for lost in scene.reap(2)] for _ in range(2)]


def test_reaper_looks_into_the_buckets_it_is_given(scene):
    scene.admit()
    scene.clock.advance(60)

    seen = [Delivered("", seconds=0.0)]

    assert [] == scene.store.reap([11, 12], seen)
    assert ["job-1"] == [lost.job.id for lost in scene.store.reap([11, 10], seen)]


def test_reaper_leaves_a_renewed_lease_alone(scene):
    scene.run()
    scene.clock.advance(29)
    scene.renew()
    scene.clock.advance(29)

    assert [] == scene.reap()
    assert "running" == scene.read().flight


def test_reaper_quarantines_a_job_that_kills_its_workers(scene):
    scene.run(max_attempts=1)
    scene.clock.advance(30)

    assert [] == scene.reap()
    assert (Status.QUARANTINED, "attempts_spent") == (scene.read().status, scene.read().failure.reason)


def undeliverable(scene):
    scene.admit()
    for _ in range(MAX_RESENDS + 1):
        scene.clock.advance(max(0.0, scene.read().deadline_in))
        scene.resend()


def test_answer_of_a_stalled_owner_is_kept_after_a_cancel(scene):
    scene.run()
    scene.clock.advance(30)
    scene.reap()
    assert Cancellation.CANCELLED is scene.cancel()

    assert (Write.OK, Write.OK) == (scene.complete(), scene.complete())
    assert (Status.DONE, None) == (scene.read().status, scene.read().failure)


@pytest.mark.parametrize("gives_up", ["admit", "reap"])
def test_answer_of_a_stalled_last_owner_ends_the_quarantine(scene, gives_up):
    scene.run(max_attempts=1)
    scene.clock.advance(30)
    scene.admit("job-2") if gives_up == "admit" else scene.reap()
    assert Status.QUARANTINED is scene.read().status

    assert Write.FENCED is scene.complete(owner="owner-2")
    outcomes = scene.complete(), scene.complete()

    assert (Write.OK, Write.OK) == outcomes
    assert (Status.DONE, None) == (scene.read().status, scene.read().failure)


def test_owner_that_failed_ends_no_quarantine(scene):
    scene.quarantined()

    assert Write.FENCED is scene.complete()
    assert Status.QUARANTINED is scene.read().status


def test_message_that_never_arrives_is_quarantined(scene):
    undeliverable(scene)

    assert (Status.QUARANTINED, "undeliverable") == (scene.read().status, scene.read().failure.reason)
    assert Admission.NEGATIVE is scene.admit("job-2").outcome


def test_message_that_arrives_after_all_revives_its_job(scene):
    undeliverable(scene)

    reply = scene.start("owner-1", "job-1")

    assert (Start.GRANTED, None) == (reply.outcome, reply.record.failure)
    assert Write.OK is scene.complete()


def test_revival_ends_with_the_quarantine(scene):
    scene.done(soft=60.0, hard=30 * 86400.0)
    scene.clock.advance(60)
    scene.admit("job-2")
    for _ in range(MAX_RESENDS + 1):
        scene.clock.advance(max(0.0, scene.read().deadline_in))
        scene.resend()
    scene.clock.advance(7 * 86400)

    reply = scene.start("owner-2", "job-2")

    assert Start.DONE is reply.outcome


def test_start_resets_the_number_of_resends(scene):
    scene.admit()
    scene.clock.advance(60)
    scene.resend()
    assert 1 == scene.read().resent

    assert 0 == scene.start().record.resent


def test_job_in_flight_outlives_a_week_without_workers(scene):
    scene.run()
    scene.clock.advance(30 + 7 * 86400 - 0.001)
    before = scene.read()
    scene.clock.advance(0.001)

    assert "running" == before.flight
    assert Snapshot() == scene.read()
    assert [] == scene.reap()
