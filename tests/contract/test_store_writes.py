from operator import methodcaller

import pytest

from askonce.lost import Resent
from askonce.record import Snapshot, Status
from askonce.store import Admission, Parking, Renewal, Start, Write

# One suite for every store: what the owner of a lease alone may write.


def _as_write(outcome):
    return Write.OK if outcome is Parking.PARKED else Write(outcome.value)


OWNER_WRITES = {
    "renew": lambda scene, owner: _as_write(scene.renew(owner)),
    "checkpoint": lambda scene, owner: scene.checkpoint(owner),
    "complete": lambda scene, owner: scene.complete(owner, b"j2"),
    "fail": lambda scene, owner: scene.fail(owner, kind="permanent").outcome,
    "park": lambda scene, owner: _as_write(scene.park(owner)),
}


@pytest.mark.parametrize("verb", OWNER_WRITES)
def test_write_by_another_owner_is_fenced_and_changes_nothing(scene, verb):
    scene.run()
    before = scene.read()

    outcome = OWNER_WRITES[verb](scene, "owner-2")

    assert Write.FENCED is outcome
    assert before == scene.read()


@pytest.mark.parametrize("verb", OWNER_WRITES)
def test_write_after_a_takeover_is_fenced_and_changes_nothing(scene, verb):
    scene.run("owner-1")
    scene.clock.advance(30)
    scene.start("owner-2")
    before = scene.read()

    outcome = OWNER_WRITES[verb](scene, "owner-1")

    assert Write.FENCED is outcome
    assert before == scene.read()


@pytest.mark.parametrize("verb", OWNER_WRITES)
def test_write_to_a_lost_record_is_refused_and_leaves_no_trace(scene, verb):
    assert Write.ABSENT is OWNER_WRITES[verb](scene, "owner-1")
    assert Snapshot() == scene.read()


@pytest.mark.parametrize("verb", ["checkpoint", "fail", "park", "renew"])
def test_write_after_the_answer_is_fenced(scene, verb):
    scene.done()
    before = scene.read()

    assert Write.FENCED is OWNER_WRITES[verb](scene, "owner-1")
    assert before == scene.read()


def test_fenced_failure_discloses_nothing(scene):
    scene.run()

    assert Snapshot() == scene.fail("owner-2").record


def test_rejected_duplicates_leave_the_owner_in_charge(scene):
    scene.run()
    scene.clock.advance(10)
    before = scene.read()

    scene.admit("job-2")
    scene.admit("job-3", "fp-2", on_mismatch="conflict")
    scene.start("owner-2")
    scene.start("owner-2", "job-2")

    assert before == scene.read()
    assert Write.OK is scene.complete("owner-1")


def test_answer_after_the_lease_is_kept_while_no_other_run_started(scene):
    scene.run()
    scene.clock.advance(31)

    assert Write.OK is scene.complete()
    assert Status.DONE is scene.read().status


def test_answer_of_a_stalled_owner_is_kept_after_a_resend(scene):
    scene.run()
    scene.clock.advance(30)
    scene.reap()

    assert Write.OK is scene.complete()
    assert Status.DONE is scene.read().status
    assert [] == scene.reap()


def test_lease_is_over_exactly_at_its_deadline(scene):
    scene.run()
    scene.clock.advance(29.999)
    before = scene.start("owner-2")
    scene.clock.advance(0.001)
    at = scene.start("owner-3")

    assert (Start.BUSY, Start.GRANTED) == (before.outcome, at.outcome)


def test_renewed_lease_lasts_from_now(scene):
    scene.run()
    scene.clock.advance(20)

    assert Renewal.OK is scene.renew()
    assert 30.0 == scene.read().deadline_in
    scene.clock.advance(29.999)
    assert Start.BUSY is scene.start("owner-2").outcome


def test_renewing_many_leases_answers_each(scene):
    neighbour, lost = scene.at(scene.key[:-1] + "1"), scene.at(scene.key[:-1] + "2")
    scene.run("owner-1")
    neighbour.run("owner-2")

    outcomes = scene.store.renew([each.lease(seconds=9.0) for each in (lost, scene, neighbour)])

    assert [Renewal.ABSENT, Renewal.OK, Renewal.FENCED] == outcomes
    assert (9.0, 30.0) == (scene.read().deadline_in, neighbour.read().deadline_in)


FINGERPRINTED = [
    methodcaller("start"),
    methodcaller("checkpoint"),
    methodcaller("fail", after=1.0),
    lambda scene: (scene.clock.advance(1), scene.start("owner-2")),
    methodcaller("park", "owner-2", after=0.0),
    methodcaller("start", "owner-3"),
    methodcaller("complete", "owner-3"),
    lambda scene: (scene.clock.advance(61), scene.admit("job-2")),
    lambda scene: (scene.clock.advance(60), scene.reap()),
    methodcaller("start", "owner-4", "job-2"),
    methodcaller("fail", "owner-4", kind="permanent"),
]


def test_fingerprint_stays_through_every_state(scene):
    scene.admit()
    seen = []
    for step in FINGERPRINTED:
        step(scene)
        seen.append((scene.read().fingerprint, scene.read().status))

    assert {"fp-1"} == {fingerprint for fingerprint, _ in seen}
    assert {Status.RUNNING, Status.QUEUED, Status.DONE, Status.FAILED} == {status for _, status in seen}


def test_fence_rises_with_every_run_when_the_clock_steps_back(scene):
    fences = [scene.run("owner-1").record.fence]
    scene.complete("owner-1")
    scene.admit("job-2", force=True)
    fences.append(scene.start("owner-2", "job-2").record.fence)
    scene.complete("owner-2")
    scene.clock.advance(-5)
    scene.admit("job-3", force=True)
    fences.append(scene.start("owner-3", "job-3").record.fence)
    scene.complete("owner-3")

    assert fences == sorted(set(fences))
    assert fences[-1] == scene.read().value.fence


def test_fence_rises_over_an_invalidated_record(scene):
    first = scene.run().record.fence
    scene.invalidate()

    assert scene.run("owner-2", "job-2").record.fence > first


def test_fence_rises_over_a_record_that_ran_out(scene):
    scene.done(hard=60.0)
    first = scene.read().value.fence
    scene.clock.advance(60)
    assert Snapshot() == scene.read()

    assert scene.run("owner-2", "job-2").record.fence > first


def test_invalidated_answer_is_gone_and_its_job_is_admitted(scene):
    scene.done()

    assert Write.OK is scene.invalidate()
    assert (Status.ABSENT, None, "") == (scene.read().status, scene.read().value, scene.read().fingerprint)
    assert Admission.ADMITTED is scene.admit("job-2", "fp-2", on_mismatch="conflict").outcome


def test_answer_of_a_run_that_was_invalidated_stays_invisible(scene):
    scene.run()
    scene.invalidate()

    scene.clock.advance(3599)

    assert Write.FENCED is scene.complete()
    assert scene.read().value is None


def test_invalidated_run_has_no_owner_any_more(scene):
    scene.run()

    scene.invalidate()

    assert ("", "") == (scene.read().owner, scene.read().job)


def test_invalidated_job_neither_starts_nor_is_sent_again(scene):
    scene.admit()
    scene.invalidate()
    scene.clock.advance(60)

    assert [] == scene.reap()
    assert Start.SUPERSEDED is scene.start().outcome


def test_tombstone_ends_after_an_hour(scene):
    scene.run()
    scene.invalidate()
    scene.clock.advance(3599.999)
    before = scene.read()
    scene.clock.advance(0.001)

    assert before.present
    assert Snapshot() == scene.read()


def test_invalidating_an_unknown_key_leaves_no_trace(scene):
    assert Write.ABSENT is scene.invalidate()
    assert Snapshot() == scene.read()


REPLAYED = {
    "read": (lambda scene: scene.done(), lambda scene: scene.read()),
    "admit": (lambda scene: None, lambda scene: scene.admit()),
    "start": (lambda scene: scene.admit(), lambda scene: scene.start()),
    "renew": (lambda scene: scene.run(), lambda scene: scene.renew()),
    "checkpoint": (lambda scene: scene.run(), lambda scene: scene.checkpoint()),
    "complete": (lambda scene: scene.run(), lambda scene: scene.complete()),
    "fail transient": (lambda scene: scene.run(), lambda scene: scene.fail(after=9.0)),
    "fail spent": (lambda scene: scene.run(max_attempts=1), lambda scene: scene.fail()),
    "fail permanent": (lambda scene: scene.run(), lambda scene: scene.fail(kind="permanent")),
    "fail fallback": (lambda scene: scene.run(), lambda scene: scene.fail(kind="fallback", data=b"j0")),
    "park": (lambda scene: scene.run(), lambda scene: scene.park()),
    "cancel": (lambda scene: scene.admit(), lambda scene: scene.cancel()),
    "resent": (
        lambda scene: (scene.admit(), scene.clock.advance(60)),
        lambda scene: scene.store.resent([Resent(scene.key, "job-1", scene.read().now)]),
    ),
    "invalidate": (lambda scene: scene.run(), lambda scene: scene.invalidate()),
    "admit resend": (
        lambda scene: (scene.admit(), scene.clock.advance(60), scene.deliver()),
        lambda scene: scene.admit("job-2"),
    ),
}


@pytest.mark.parametrize("verb", REPLAYED)
def test_replayed_verb_answers_the_same_and_changes_nothing(scene, verb):
    arrange, act = REPLAYED[verb]
    arrange(scene)

    first, after_first = act(scene), scene.read()
    second, after_second = act(scene), scene.read()

    assert first == second
    assert after_first == after_second
