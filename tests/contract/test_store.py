import pytest

from askonce.record import Snapshot, Status
from askonce.store import Admission, Start, Write

# One suite for every store: what admit and start return.


def test_new_key_is_absent(scene):
    assert Snapshot() == scene.read()
    assert Status.ABSENT is scene.read().status


def test_first_caller_is_admitted(scene):
    reply = scene.admit()

    assert Admission.ADMITTED is reply.outcome
    assert ("queued", "job-1", "orders", "fp-1") == (
        reply.record.flight,
        reply.record.job,
        scene.read().task,
        scene.read().fingerprint,
    )
    assert (60.0, 0, Status.QUEUED) == (reply.record.deadline_in, reply.record.attempts, reply.record.status)


def test_second_caller_is_attached_to_the_first_job(scene):
    scene.admit("job-1")

    queued = scene.admit("job-2")
    scene.start()
    running = scene.admit("job-3")

    assert (Admission.ATTACHED, "job-1") == (queued.outcome, queued.record.job)
    assert (Admission.ATTACHED, "job-1") == (running.outcome, running.record.job)


def test_one_of_fifty_callers_at_once_is_admitted(scene, at_once):
    replies = at_once(lambda n: scene.admit(f"job-{n}"))

    outcomes = [reply.outcome for reply in replies]
    assert (1, 49) == (outcomes.count(Admission.ADMITTED), outcomes.count(Admission.ATTACHED))
    assert 1 == len({reply.record.job for reply in replies})


def test_one_of_fifty_starts_at_once_is_granted(scene, at_once):
    scene.admit()

    replies = at_once(lambda n: scene.start(f"owner-{n}"))

    outcomes = [reply.outcome for reply in replies]
    assert (1, 49) == (outcomes.count(Start.GRANTED), outcomes.count(Start.BUSY))


def test_keys_do_not_know_of_each_other(scene):
    neighbour = scene.at(scene.key[:-1] + "1")
    scene.done()

    assert Snapshot() == neighbour.read()
    assert Admission.ADMITTED is neighbour.admit("job-2").outcome
    assert [Status.DONE, Status.QUEUED] == [r.status for r in scene.store.read([scene.key, neighbour.key])]


def test_fresh_answer_is_a_hit_and_shows_its_age(scene):
    scene.done()
    scene.clock.advance(59.5)

    reply = scene.admit("job-2")

    assert Admission.HIT is reply.outcome
    assert (b'j"answer"', True, 59.5) == (
        reply.record.value.data,
        reply.record.value.fresh,
        reply.record.value.age,
    )
    assert (0.25, {"input_tokens": 7}) == (
        reply.record.value.meta.spend.cost_usd,
        reply.record.value.meta.spend.usage,
    )
    assert scene.clock.START / 1e6 == reply.record.value.stored_at


def test_stale_answer_stays_readable_during_its_refresh(scene):
    scene.done()
    scene.clock.advance(60)

    admitted = scene.admit("job-2")
    granted = scene.start("owner-2", "job-2")

    assert (Admission.ADMITTED, b'j"answer"', False) == (
        admitted.outcome,
        admitted.record.value.data,
        admitted.record.value.fresh,
    )
    assert (Start.GRANTED, b'j"answer"') == (granted.outcome, granted.record.value.data)
    assert b'j"answer"' == scene.read().value.data


def test_answer_is_gone_at_its_hard_limit(scene):
    scene.done(soft=60, hard=600)
    scene.clock.advance(599.999)
    before = scene.read()
    scene.clock.advance(0.001)

    assert Status.STALE is before.status
    assert Snapshot() == scene.read()
    assert scene.admit("job-2").record.value is None


def test_answer_past_its_hard_limit_is_hidden_during_a_refresh(scene):
    scene.done(soft=60, hard=600)
    scene.clock.advance(60)
    scene.run("owner-2", "job-2")

    scene.clock.advance(540)

    assert ("running", None) == (scene.read().flight, scene.read().value)


def test_answer_older_than_max_age_is_no_hit(scene):
    scene.done()
    scene.clock.advance(10)

    young_enough = scene.admit("job-2", max_age=10.0)
    too_old = scene.admit("job-3", max_age=9.999)

    assert (Admission.HIT, Admission.ADMITTED) == (young_enough.outcome, too_old.outcome)


def test_force_admits_although_the_answer_is_fresh(scene):
    scene.done()

    assert Admission.ADMITTED is scene.admit("job-2", force=True).outcome


def test_force_admits_although_a_failure_answers_or_rests(scene):
    scene.run()
    scene.fail(kind="permanent")
    permanent = scene.admit("job-2", force=True)
    scene.start("owner-2", "job-2")
    scene.fail("owner-2", kind="configuration", after=30.0)
    resting = scene.admit("job-3", force=True)

    assert (Admission.ADMITTED, Admission.ADMITTED) == (permanent.outcome, resting.outcome)


def test_retry_admits_although_a_failure_answers_or_rests(scene):
    scene.run()
    scene.fail(kind="permanent", keep=600.0)
    permanent = scene.admit("job-2", retry=True)
    scene.start("owner-2", "job-2")
    scene.fail("owner-2", kind="configuration", after=60.0)
    resting = scene.admit("job-3", retry=True)

    assert (Admission.ADMITTED, "job-2") == (permanent.outcome, permanent.record.job)
    assert (Admission.ADMITTED, "job-3") == (resting.outcome, resting.record.job)


def test_retry_takes_a_fresh_answer_or_the_job_in_flight(scene):
    scene.admit()
    attached = scene.admit("job-2", retry=True)
    scene.start()
    scene.complete()

    hit = scene.admit("job-3", retry=True)

    assert (Admission.ATTACHED, "job-1") == (attached.outcome, attached.record.job)
    assert (Admission.HIT, "job-1") == (hit.outcome, hit.record.job)


def test_force_does_not_overtake_a_job_in_flight(scene):
    scene.run()

    reply = scene.admit("job-2", force=True)

    assert (Admission.ATTACHED, "job-1") == (reply.outcome, reply.record.job)


def test_other_payload_replaces_the_job_and_fences_its_run(scene):
    scene.run("owner-1", "job-1")

    reply = scene.admit("job-2", "fp-2")

    assert (Admission.ADMITTED, "job-2", "fp-2") == (
        reply.outcome,
        reply.record.job,
        scene.read().fingerprint,
    )
    assert Write.FENCED is scene.complete("owner-1")
    assert Start.SUPERSEDED is scene.start("owner-3", "job-1").outcome
    assert Start.GRANTED is scene.start("owner-2", "job-2", "fp-2").outcome


def test_other_payload_gets_neither_answer_nor_failure(scene):
    scene.done()
    replaced = scene.admit("job-2", "fp-2")
    scene.start("owner-2", "job-2", "fp-2")
    scene.fail("owner-2", kind="permanent")
    again = scene.admit("job-3", "fp-3")

    assert (Admission.ADMITTED, None) == (replaced.outcome, replaced.record.value)
    assert (Admission.ADMITTED, None) == (again.outcome, again.record.failure)


STATES = {
    "queued": lambda scene: scene.admit(),
    "running": lambda scene: scene.run(),
    "done": lambda scene: scene.done(),
    "stale": lambda scene: (scene.done(), scene.clock.advance(61)),
    "failed": lambda scene: (scene.run(), scene.fail(kind="permanent")),
    "quarantined": lambda scene: scene.quarantined(),
}


@pytest.mark.parametrize("state", STATES)
def test_conflicting_payload_gets_nothing_and_changes_nothing(scene, state):
    STATES[state](scene)
    before = scene.read()

    reply = scene.admit("job-2", "fp-2", on_mismatch="conflict")

    assert (Admission.CONFLICT, Snapshot()) == (reply.outcome, reply.record)
    assert before == scene.read()
    assert Status(state) is before.status


@pytest.mark.parametrize("state", STATES)
def test_same_payload_is_no_conflict(scene, state):
    STATES[state](scene)

    assert Admission.CONFLICT is not scene.admit("job-2", on_mismatch="conflict").outcome


def test_start_with_another_payload_gets_and_changes_nothing(scene):
    scene.done()
    scene.clock.advance(61)
    scene.admit("job-2")
    before = scene.read()

    conflict = scene.start("owner-2", "job-2", "fp-2")
    superseded = scene.start("owner-2", "job-9", "fp-2")

    assert (Start.CONFLICT, Snapshot()) == (conflict.outcome, conflict.record)
    assert (Start.SUPERSEDED, Snapshot()) == (superseded.outcome, superseded.record)
    assert before == scene.read()


def test_start_of_an_unknown_key_leaves_no_trace(scene):
    reply = scene.start()

    assert (Start.ABSENT, Snapshot()) == (reply.outcome, reply.record)
    assert Snapshot() == scene.read()


def test_granted_start_counts_an_attempt_and_returns_a_fence(scene):
    reply = scene.run()

    assert ("running", "owner-1", 1, 30.0) == (
        reply.record.flight,
        scene.read().owner,
        reply.record.attempts,
        reply.record.deadline_in,
    )
    assert scene.clock.micros == reply.record.fence
    assert Status.RUNNING is scene.read().status


def test_copy_of_a_message_finds_the_job_busy_or_done(scene):
    scene.run()
    busy = scene.start("owner-2")
    scene.complete()
    done = scene.start("owner-2")
    scene.clock.advance(61)
    stale = scene.start("owner-2")

    assert (Start.BUSY, 30.0) == (busy.outcome, busy.record.deadline_in)
    assert (Start.DONE, b'j"answer"') == (done.outcome, done.record.value.data)
    assert Start.GRANTED is not stale.outcome


def test_only_the_job_that_is_admitted_may_start(scene):
    scene.done()
    scene.clock.advance(61)
    scene.admit("job-2")

    old_copy = scene.start("owner-2", "job-1")

    assert Start.SUPERSEDED is old_copy.outcome
    assert ("queued", "job-2") == (scene.read().flight, scene.read().job)


def test_start_of_another_job_gets_the_answer_while_it_is_fresh(scene):
    scene.done()

    reply = scene.start("owner-2", "job-0")

    assert (Start.DONE, b'j"answer"') == (reply.outcome, reply.record.value.data)


@pytest.mark.parametrize("lease", [0.0, -1.0])
def test_lease_without_a_duration_is_refused(scene, lease):
    scene.admit()
    queued = scene.read()
    with pytest.raises(ValueError, match="lease"):
        scene.start(lease=lease)
    assert queued == scene.read()
    scene.start()
    running = scene.read()

    with pytest.raises(ValueError, match="lease"):
        scene.renew(lease=lease)

    assert running == scene.read()


def test_read_alone_returns_the_owner(scene):
    replies = [scene.admit("job-1"), scene.start("owner-1", "job-1"), scene.admit("job-2")]

    assert ["", "", ""] == [reply.record.owner for reply in replies]
    assert "owner-1" == scene.read().owner
