"""The life of an answer: fresh, stale and served meanwhile, gone; and who wants it made anew."""

import pytest

from askonce.record import Status
from askonce.store import Admission

#: The answer is fresh for a minute and kept for ten.
STALE_FOR_5 = 65.0
MEANWHILE = {"stale_while_revalidate": 30.0}


def stale(scene, seconds=STALE_FOR_5):
    scene.done()
    scene.clock.advance(seconds)


def test_one_caller_makes_a_stale_answer_anew_and_all_others_are_served_it(scene, at_once):
    stale(scene)

    replies = at_once(lambda n: scene.admit(f"job-{n + 2}", **MEANWHILE))

    outcomes = [reply.outcome for reply in replies]
    assert (1, 49) == (outcomes.count(Admission.ADMITTED), outcomes.count(Admission.STALE))
    assert {5.0} == {reply.record.value.stale_for for reply in replies}


def test_stale_answer_is_served_while_its_refresh_runs(scene):
    stale(scene)
    scene.run("owner-2", "job-2", **MEANWHILE)

    served = scene.admit("job-3", **MEANWHILE)

    assert (Admission.STALE, 65.0, 5.0) == (
        served.outcome,
        served.record.value.age,
        served.record.value.stale_for,
    )
    assert Status.RUNNING is scene.read().status


def test_caller_who_takes_no_stale_answer_waits_for_the_refresh(scene):
    stale(scene)
    scene.admit("job-2", **MEANWHILE)

    assert Admission.ATTACHED is scene.admit("job-3").outcome
    assert Admission.ATTACHED is scene.admit("job-4", stale_while_revalidate=5.0).outcome


def test_answer_that_is_stale_for_too_long_is_waited_for(scene):
    stale(scene, 95.0)
    scene.admit("job-2", **MEANWHILE)

    assert Admission.ATTACHED is scene.admit("job-3", **MEANWHILE).outcome


def test_answer_too_old_for_one_caller_is_served_while_a_job_makes_it_anew(scene):
    stale(scene, 20.0)

    first = scene.admit("job-2", max_age=10.0, **MEANWHILE)
    second = scene.admit("job-3", max_age=10.0, **MEANWHILE)
    strict = scene.admit("job-4", max_age=10.0, stale_while_revalidate=10.0)

    assert (Admission.ADMITTED, Admission.STALE) == (first.outcome, second.outcome)
    assert Admission.ATTACHED is strict.outcome
    assert Admission.HIT is scene.admit("job-5").outcome


def test_key_rests_after_a_failed_refresh_and_its_stale_answer_is_served(scene):
    stale(scene)
    scene.run("owner-2", "job-2", max_attempts=1, **MEANWHILE)
    scene.fail("owner-2", after=20.0, quarantine=False)

    served, strict = scene.admit("job-3", **MEANWHILE), scene.admit("job-4")
    scene.clock.advance(20.0)
    again = scene.admit("job-5", **MEANWHILE)

    assert (Admission.STALE, Admission.BACKOFF) == (served.outcome, strict.outcome)
    assert Admission.ADMITTED is again.outcome


def test_refresh_that_rests_before_its_next_attempt_keeps_the_stale_answer_served(scene):
    stale(scene)
    scene.run("owner-2", "job-2", **MEANWHILE)
    scene.fail("owner-2", after=20.0)

    assert Admission.STALE is scene.admit("job-3", **MEANWHILE).outcome


@pytest.mark.parametrize("kind", ["permanent", "configuration", "cancelled"])
def test_failure_that_makes_the_answer_doubtful_is_not_hidden_by_it(scene, kind):
    stale(scene)
    scene.run("owner-2", "job-2", **MEANWHILE)
    scene.fail("owner-2", kind=kind, after=20.0)

    shown = Admission.NEGATIVE if kind == "permanent" else Admission.BACKOFF
    assert shown is scene.admit("job-3", **MEANWHILE).outcome


def test_lost_refresh_is_sent_again_by_who_would_be_served_meanwhile(scene):
    stale(scene)
    scene.run("owner-2", "job-2", **MEANWHILE)
    scene.clock.advance(30.0)

    assert Admission.RESEND is scene.admit("job-3", stale_while_revalidate=300.0).outcome


def test_stale_answer_that_is_served_counts_as_a_call_avoided(scene):
    scene.run()
    scene.complete(micro_usd=700)
    scene.clock.advance(STALE_FOR_5)
    scene.admit("job-2", **MEANWHILE)

    scene.admit("job-3", **MEANWHILE)

    counted = {counter.what: n for counter, n in scene.store.tally.totals().items()}
    assert (1, 700) == (counted["stale"], counted["avoided_micro_usd"])


def test_answer_goes_stale_soon_only_if_somebody_asked_for_it_since(scene):
    unwanted, wanted = scene.at("01" + "0" * 62), scene.at("02" + "0" * 62)
    unwanted.done(keep_payload=True)
    wanted.done(keep_payload=True)
    wanted.admit("job-2")
    scene.clock.advance(10.0)

    expected = [(wanted.key, b'{"n":1}', 10.0, 50.0)]
    assert expected == [(each.key, each.payload, each.age, each.stale_in) for each in scene.going_stale()]
    assert [] == scene.going_stale(within=49.0)
    assert [] == scene.going_stale(task="others")


def test_nobody_wants_the_next_answer_until_it_is_asked_for(scene):
    scene.done(keep_payload=True)
    scene.admit("job-2")
    scene.clock.advance(1.0)
    scene.run("owner-3", "job-3", max_age=0.0)
    scene.complete("owner-3", keep_payload=True)

    assert [] == scene.going_stale()
    scene.admit("job-4")
    assert [scene.key] == [each.key for each in scene.going_stale()]


def test_answer_that_is_made_anew_already_does_not_go_stale(scene):
    scene.done(keep_payload=True)
    scene.admit("job-2")
    scene.clock.advance(1.0)
    scene.admit("job-3", max_age=0.0)

    assert [] == scene.going_stale()


def test_payload_is_kept_only_where_the_task_says_so(scene):
    scene.done()
    scene.admit("job-2")

    assert [b""] == [each.payload for each in scene.going_stale()]


#: How a refresh ends without an answer.
ENDS = {
    "failed": lambda scene: (scene.start("owner-2", "job-2"), scene.fail("owner-2", "permanent", keep=5.0)),
    "spent": lambda scene: (scene.start("owner-2", "job-2"), scene.fail("owner-2", quarantine=False)),
    "cancelled": lambda scene: scene.cancel(),
    "expired": lambda scene: (scene.clock.advance(10.0), scene.reap()),
}
REFRESH = {"force": True, "max_attempts": 1, "expires": 10.0}


@pytest.mark.parametrize("end", ENDS.values(), ids=ENDS)
def test_refresh_that_gives_no_answer_leaves_the_payload_that_is_kept(scene, end):
    scene.done(keep_payload=True)
    scene.admit("job-x")
    scene.admit("job-2", **REFRESH)

    end(scene)

    scene.clock.advance(10.0)
    assert [b'{"n":1}'] == [each.payload for each in scene.going_stale(within=100.0)]


@pytest.mark.parametrize("end", ENDS.values(), ids=ENDS)
def test_payload_that_is_not_kept_leaves_with_the_refresh_that_gives_no_answer(scene, end):
    scene.done(keep_payload=True)
    scene.clock.advance(1.0)
    scene.run("owner-3", "job-3", force=True)
    scene.complete("owner-3")
    scene.admit("job-x")
    scene.admit("job-2", **REFRESH)

    end(scene)

    scene.clock.advance(10.0)
    assert [b""] == [each.payload for each in scene.going_stale(within=100.0)]


def test_stale_answer_that_was_served_is_wanted_no_more_than_a_fresh_one(scene):
    stale(scene)
    scene.admit("job-2", **MEANWHILE)
    scene.admit("job-3", **MEANWHILE)
    scene.start("owner-2", "job-2")
    scene.complete("owner-2", keep_payload=True)

    assert [] == scene.going_stale()


def test_more_answers_than_one_look_takes_are_all_found(scene):
    keys = [f"05{number:062x}" for number in range(250)]
    for number, key in enumerate(keys):
        one = scene.at(key)
        one.done(keep_payload=True)
        one.admit("job-2")
        if number % 50 == 0:
            scene.clock.advance(0.001)

    assert keys == sorted(each.key for each in scene.going_stale())


def test_answer_leaves_its_index_when_it_ends(scene):
    scene.done(soft=10.0, hard=20.0, keep_payload=True)
    scene.admit("job-2")

    for _ in range(2):
        scene.clock.advance(11.0)
        scene.reap()

    assert [] == scene.going_stale(within=1000.0)
