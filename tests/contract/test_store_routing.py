import pytest

from askonce.job import Routing
from askonce.lost import Resent
from askonce.store import Admission, Cancellation, Start

# One suite for every store: what an admission brings, and what a second caller's options change.

ROUTING = Routing("slow", 3, 75.0, 60.5, '{"trace":"\\n é","urgent":true}')
BROUGHT = {"routing": ROUTING, "run": "night", "tenant": "acme", "model": "small", "version": "2"}


def whole(scene):
    """Return the job that a store must return."""
    return scene.job(**BROUGHT, admitted_at=scene.read().admitted_at)


def test_record_shows_what_the_admission_brought(scene):
    reply = scene.admit(**BROUGHT)

    seen = scene.read()

    assert (ROUTING, "night", reply.record.now) == (seen.routing, seen.run, seen.admitted_at)


def test_admission_without_options_brings_empty_routing(scene):
    scene.admit()

    assert (Routing(), "") == (scene.read().routing, scene.read().run)


def test_lost_message_comes_back_with_all_that_was_brought(scene):
    scene.admit(**BROUGHT)
    scene.clock.advance(60)
    scene.deliver("slow")

    [lost] = scene.reap(delivered=[])

    assert whole(scene) == lost.job


def test_second_attempt_comes_back_with_all_that_was_brought(scene):
    scene.run(**BROUGHT)
    scene.fail(after=9.0)
    scene.clock.advance(9)

    [lost] = scene.reap(delivered=[])

    assert whole(scene) == lost.job


def test_job_of_a_dead_worker_comes_back_with_all_that_was_brought(scene):
    scene.run(**BROUGHT)
    scene.clock.advance(30)

    [lost] = scene.reap(delivered=[])

    assert whole(scene) == lost.job


def test_dead_letter_has_all_that_was_brought(scene):
    scene.run(max_attempts=1, **BROUGHT)
    scene.fail()

    assert whole(scene) == scene.show(payload=True).job
    assert whole(scene)._replace(payload=b"") == scene.show().job


def test_caller_that_must_send_gets_all_that_was_brought(scene):
    first = scene.admit(**BROUGHT)
    scene.clock.advance(60)
    scene.deliver("slow")

    reply = scene.admit("job-2", routing=Routing("", 6), run="day")

    assert (Admission.RESEND, "job-1") == (reply.outcome, reply.record.job)
    shown = reply.record.routing, reply.record.run, reply.record.admitted_at
    assert (ROUTING, "night", first.record.now) == shown


def test_caller_that_sends_nothing_gets_nothing_of_it(scene):
    scene.admit(**BROUGHT)

    reply = scene.admit("job-2")

    assert (Admission.ATTACHED, None, "", 0) == (
        reply.outcome,
        reply.record.routing,
        reply.record.run,
        reply.record.admitted_at,
    )


def test_new_job_of_a_key_brings_its_own(scene):
    scene.run(**BROUGHT)
    scene.complete()

    scene.admit("job-2", force=True, routing=Routing("fast"))

    assert (Routing("fast"), "") == (scene.read().routing, scene.read().run)


#: What a second caller brings that a job without it does not take, by the option's name.
NOT_TAKEN = {
    "queue": {"routing": Routing("slow"), "chosen": ("queue",)},
    "headers": {"routing": Routing(headers='{"trace":"1"}'), "chosen": ("headers",)},
    "limits": {"routing": Routing(time_limit=75.0), "chosen": ("limits",)},
    "priority": {"routing": Routing(priority=3), "chosen": ("priority<",)},
    "expires": {"expires": 9.0},
    "countdown": {"countdown": 9.0},
}


@pytest.mark.parametrize("flight", ["queued", "running"])
@pytest.mark.parametrize("option", NOT_TAKEN)
def test_option_that_a_job_does_not_take_is_named(scene, option, flight):
    scene.run() if flight == "running" else scene.admit()
    before = scene.read()

    reply = scene.admit("job-2", **NOT_TAKEN[option])

    assert (Admission.ATTACHED, (option,)) == (reply.outcome, reply.ignored)
    assert before == scene.read()


def test_every_option_that_is_not_taken_is_named(scene):
    scene.admit()
    routing = Routing("slow", 3, 75.0, headers='{"trace":"1"}')
    chosen = "queue", "headers", "limits", "priority<"

    reply = scene.admit("job-2", routing=routing, chosen=chosen, expires=9.0, countdown=9.0)

    assert set(NOT_TAKEN) == set(reply.ignored)
    assert Routing() == scene.read().routing


def test_option_that_the_caller_did_not_choose_is_not_named(scene):
    scene.admit(**BROUGHT)

    reply = scene.admit("job-2", routing=Routing("fast", 6, 5.0), run="night")

    assert (Admission.ATTACHED, ()) == (reply.outcome, reply.ignored)
    assert ROUTING == scene.read().routing


TAKEN = {
    "sooner start": {"expires": 60.0},
    "higher priority": {
        "expires": 60.0,
        "countdown": 9.0,
        "chosen": ("priority>",),
        "routing": Routing(priority=9),
    },
}


@pytest.mark.parametrize("option", TAKEN)
@pytest.mark.parametrize("reject", [False, True])
def test_caller_that_rejects_duplicates_changes_nothing(scene, option, reject):
    scene.admit(expires=60.0, countdown=9.0)
    before = scene.read()

    reply = scene.admit("job-2", reject=reject, **TAKEN[option])

    assert () == reply.ignored
    assert reject is (before == scene.read())


@pytest.mark.parametrize(("reject", "end"), [(False, Cancellation.SHARED), (True, Cancellation.CANCELLED)])
def test_caller_that_rejects_duplicates_shares_no_job(scene, reject, end):
    scene.admit(run="night")
    scene.admit("job-2", run="day", reject=reject)

    assert end is scene.cancel("night")


@pytest.mark.parametrize(("reject", "start"), [(False, Start.GRANTED), (True, Start.UNRUN)])
def test_lost_job_is_handed_to_a_caller_that_rejects_duplicates_too(scene, reject, start):
    scene.admit(expires=90.0)
    scene.clock.advance(60)
    scene.deliver()

    reply = scene.admit("job-2", reject=reject)
    scene.clock.advance(30)

    assert (Admission.RESEND, start) == (reply.outcome, scene.start().outcome)


def test_same_options_are_taken(scene):
    options = {"expires": 600.0, "countdown": 9.0, "chosen": ("queue", "headers", "limits", "priority>")}
    scene.admit(**BROUGHT, **options)
    before = scene.read()

    reply = scene.admit("job-2", **BROUGHT, **options)

    assert (Admission.ATTACHED, ()) == (reply.outcome, reply.ignored)
    assert before == scene.read()


@pytest.mark.parametrize("second", [600.0, None], ids=["longer", "never"])
def test_longer_expiry_wins(scene, second):
    scene.admit(expires=30.0)

    reply = scene.admit("job-2", expires=second)
    scene.clock.advance(599)

    assert (Admission.ATTACHED, ()) == (reply.outcome, reply.ignored)
    assert "granted" == scene.start().outcome.value


def test_shorter_expiry_is_named_and_not_taken(scene):
    scene.admit(expires=600.0)

    reply = scene.admit("job-2", expires=30.0)
    scene.clock.advance(31)

    assert ("expires",) == reply.ignored
    assert "granted" == scene.start().outcome.value


def test_start_now_wins_over_a_later_one(scene):
    scene.admit(countdown=600.0, **BROUGHT)

    reply = scene.admit("job-2", run="night")
    scene.store.resent([Resent(scene.key, "job-1", reply.record.now)])

    assert (Admission.RESEND, "job-1", ()) == (reply.outcome, reply.record.job, reply.ignored)
    assert ROUTING == reply.record.routing
    assert Admission.ATTACHED is scene.admit("job-3").outcome
    assert "granted" == scene.start().outcome.value


def test_sooner_start_wins_over_a_later_one(scene):
    scene.admit(countdown=600.0)

    reply = scene.admit("job-2", countdown=9.0)
    scene.clock.advance(9)

    assert (Admission.ATTACHED, 9.0, ()) == (reply.outcome, reply.record.wait, reply.ignored)
    assert ["job-1"] == [lost.job.id for lost in scene.reap(delivered=[])]


def test_later_start_is_named_and_not_taken(scene):
    scene.admit(countdown=9.0)

    reply = scene.admit("job-2", countdown=600.0)

    assert (Admission.ATTACHED, 9.0, ("countdown",)) == (reply.outcome, reply.record.wait, reply.ignored)


def test_rest_after_a_failure_is_not_ended_by_a_caller(scene):
    scene.run()
    scene.fail(after=300.0)

    reply = scene.admit("job-2")

    assert (Admission.ATTACHED, 300.0) == (reply.outcome, reply.record.wait)


@pytest.mark.parametrize(("first", "second", "direction"), [(3, 6, ">"), (3, 0, "<"), (None, 6, ">")])
def test_more_urgent_caller_sends_one_more_message(scene, first, second, direction):
    scene.admit(routing=ROUTING._replace(priority=first))
    urgent = {"routing": Routing("slow", second), "chosen": (f"priority{direction}",)}

    reply = scene.admit("job-2", **urgent)
    scene.store.resent([Resent(scene.key, "job-1", reply.record.now)])
    third = scene.admit("job-3", **urgent)

    assert (Admission.RESEND, "job-1", ()) == (reply.outcome, reply.record.job, reply.ignored)
    assert ROUTING._replace(priority=second) == reply.record.routing == scene.read().routing
    assert (Admission.ATTACHED, ()) == (third.outcome, third.ignored)


def test_more_urgent_caller_of_a_running_job_sends_nothing(scene):
    scene.run()

    reply = scene.admit("job-2", routing=Routing(priority=6), chosen=("priority>",))

    assert (Admission.ATTACHED, ()) == (reply.outcome, reply.ignored)


def test_more_urgent_caller_of_a_job_not_due_sends_nothing_yet(scene):
    scene.admit(countdown=9.0)

    reply = scene.admit("job-2", countdown=9.0, routing=Routing(priority=6), chosen=("priority>",))
    scene.clock.advance(9)
    [lost] = scene.reap(delivered=[])

    assert (Admission.ATTACHED, ()) == (reply.outcome, reply.ignored)
    assert 6 == lost.job.routing.priority


def test_claim_with_options_that_is_repeated_replies_the_same(scene):
    scene.admit()
    urgent = {"routing": Routing(priority=6), "chosen": ("priority>",)}

    first, second = scene.admit("job-2", **urgent), scene.admit("job-2", **urgent)

    assert (Admission.RESEND, Admission.RESEND) == (first.outcome, second.outcome)
    assert first.record == second.record
