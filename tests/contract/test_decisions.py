import pytest

from askonce import JobSpec, decide
from askonce.answer import Meta
from askonce.decide import Policy
from askonce.decision import Refuse, Run, Serve, Wait, Why
from askonce.record import Status

# One suite for every store: what a caller does with the store's reply.

#: Of the task; a decision needs its terms only where a record was lost.
SPEC = JobSpec(name="orders")
#: Written with a codec that no process has, and cut short.
FOREIGN, DAMAGED = b"?answer", b'j"ans'
#: Each field of an answer's meta, of another type.
WRONG_TYPES = b'{"source":7,"attempts":"1","cost_usd":"free","usage":3}'


@pytest.fixture
def admit(scene):
    """Admit the scene's key as a caller with a policy, and return the decision."""

    def run(job="job-2", policy=Policy.LEAVE, **terms):
        return decide.admit(scene.store.admit, scene.claim(job, **terms), policy)

    return run


@pytest.fixture
def start(scene):
    """Start the scene's key as a worker, and return the decision."""

    def run(owner="owner-2", job="job-1"):
        return decide.start(scene.store, SPEC, scene.job(job), scene.lease(owner))

    return run


def went_stale(scene):
    scene.done(soft=60.0, hard=3600.0)
    scene.clock.advance(60)


def test_fresh_answer_is_served_as_a_hit(scene, admit):
    scene.done()

    decision = admit()

    assert Serve is type(decision)
    assert ("answer", "cache", "job-1") == (
        decision.result.value,
        decision.result.source,
        decision.result.job,
    )


def test_damaged_answer_admits_a_new_job(scene, admit):
    scene.done(data=DAMAGED)

    decision = admit()

    assert (Run, True) == (type(decision), getattr(decision, "new", False))
    assert (Status.QUEUED, decision.job) == (scene.read().status, scene.read().job)
    assert decision.job not in ("job-1", "job-2")


def test_second_caller_of_a_damaged_answer_waits_for_the_new_job(scene, admit):
    scene.done(data=DAMAGED)
    first = admit("job-2")

    second = admit("job-3")

    assert (Wait, first.job) == (type(second), second.job)


@pytest.mark.parametrize("policy", Policy)
def test_answer_in_a_missing_codec_is_never_paid_again(scene, admit, policy):
    scene.done(data=FOREIGN)
    before = scene.read()

    decision = admit(policy=policy)

    assert (Refuse, Why.UNREADABLE) == (type(decision), getattr(decision, "why", None))
    assert "?" == decision.error.codec
    assert before == scene.read()


def test_message_of_an_unreadable_answer_makes_no_call(scene, start):
    scene.done(data=FOREIGN)

    assert (Refuse, Why.UNREADABLE) == (type(decision := start()), decision.why)


@pytest.mark.parametrize("meta", [b"{", b"\xff", b"[1]", b"7", WRONG_TYPES], ids=str)
def test_answer_with_a_damaged_meta_has_an_unknown_cost(scene, admit, start, meta):
    scene.done(meta=meta)

    assert Meta() == scene.read().value.meta
    for decision in (admit(), start()):
        assert (Serve, "answer") == (type(decision), decision.result.value)
        assert (None, {}, 1) == (
            decision.result.cost_usd,
            decision.result.usage,
            decision.result.attempts,
        )


def test_unreadable_stale_answer_is_left_out(scene, admit):
    scene.done(data=FOREIGN, soft=60.0)
    scene.clock.advance(60)
    scene.admit("job-2")

    decision = _unless_it_raises(lambda: admit("job-3"))

    assert (Wait, None) == (type(decision), getattr(decision, "stale", None))


KINDS = {"permanent": False, "quarantined": True}


@pytest.mark.parametrize("kind", KINDS)
def test_only_a_permanent_failure_hides_the_stale_answer(scene, admit, start, kind):
    went_stale(scene)
    scene.run("owner-2", "job-2", max_attempts=1)
    scene.fail("owner-2", kind="permanent" if kind == "permanent" else "transient")

    for decision in (admit("job-3"), start("owner-3", "job-2")):
        assert (Refuse, Why.FAILED, kind) == (type(decision), decision.why, decision.failure.kind)
        assert KINDS[kind] is (decision.stale is not None)


@pytest.mark.parametrize(("kind", "shown"), [("transient", True), ("configuration", False)])
def test_rest_after_a_failure_shows_the_stale_answer_by_its_kind(scene, admit, kind, shown):
    went_stale(scene)
    scene.run("owner-2", "job-2")
    scene.fail("owner-2", kind=kind, after=30.0, quarantine=False, reason="http_401")
    if kind == "transient":  # it rests in the queue
        decision = admit("job-3")
        assert (Wait, 30.0) == (type(decision), decision.rest)
    else:
        decision = admit("job-3")
        assert (Refuse, Why.RESTS, 30.0) == (type(decision), decision.why, decision.rest)

    assert shown is (decision.stale is not None)


def test_enqueue_waits_for_a_job_in_flight(scene, admit):
    scene.admit()
    queued = admit()
    scene.start()
    running = admit()

    assert [(Wait, "job-1")] * 2 == [(type(each), each.job) for each in (queued, running)]


def test_inline_call_runs_a_queued_job_but_no_running_one(scene, admit):
    scene.admit()
    queued = admit(policy=Policy.RUN)
    scene.start()
    running = admit(policy=Policy.RUN)

    assert (Run, "job-1", False) == (type(queued), queued.job, queued.new)
    assert (Wait, "job-1", 0.0) == (type(running), running.job, getattr(running, "rest", None))


def test_inline_call_waits_while_a_queued_job_rests(scene, admit):
    scene.run()
    scene.fail(after=9.0)

    resting = [admit(job, policy=Policy.RUN) for job in ("job-1", "job-2")]
    scene.clock.advance(9)

    assert [(Wait, 9.0)] * 2 == [(type(each), getattr(each, "rest", None)) for each in resting]
    assert Run is type(admit(policy=Policy.RUN))


def test_own_ended_job_is_a_new_call_once_it_is_stale(scene, admit):
    scene.done(soft=60.0, hard=3600.0)
    fresh = admit("job-1", policy=Policy.RUN)
    scene.clock.advance(60)

    own = admit("job-1", policy=Policy.RUN)

    assert (Serve, Run, "job-1", True) == (type(fresh), type(own), own.job, getattr(own, "new", None))


@pytest.mark.parametrize("kind", ["configuration", "transient"])
def test_own_failed_job_is_a_new_call(scene, admit, kind):
    scene.run(max_attempts=1)
    scene.fail(kind=kind, reason="http_401", keep=60.0, quarantine=False)

    assert (Run, True) == (type(own := admit("job-1", policy=Policy.RUN)), own.new)


def end_of(scene, job="job-1"):
    return decide.end_of(scene.key, job, scene.read())


@pytest.mark.parametrize("kind", ["configuration", "transient"])
def test_waiter_gets_the_failure_that_ended_its_job(scene, kind):
    scene.run(max_attempts=1)
    going_on = end_of(scene)
    scene.fail(kind=kind, reason="http_401", keep=60.0, quarantine=False)

    ended = end_of(scene)

    assert going_on is None
    assert (Refuse, Why.FAILED, kind, 1) == (type(ended), ended.why, ended.failure.kind, ended.attempts)
    assert end_of(scene, "job-2") is None


def test_waiter_gets_the_fallback_of_its_job(scene):
    scene.run()
    scene.fail(kind="fallback", reason="default", data=b"j0", meta=b'{"source":"default"}', keep=60.0)

    ended = end_of(scene)

    assert (Serve, 0, "default") == (type(ended), ended.result.value, ended.result.source)


def test_waiter_of_an_unreadable_fallback_gets_a_failure(scene):
    scene.run()
    scene.fail(kind="fallback", reason="default", data=FOREIGN, keep=60.0)

    ended = end_of(scene)

    assert (Refuse, Why.FAILED, "fallback") == (type(ended), ended.why, ended.failure.kind)


def test_waiter_gets_an_answer_that_no_other_caller_gets(scene, admit):
    scene.run()
    scene.complete(soft=0.001, hard=0.001)
    scene.clock.advance(9)

    ended = end_of(scene)

    assert (Serve, "answer") == (type(ended), ended.result.value)
    assert end_of(scene, "job-2") is None
    assert (Run, True) == (type(decision := admit()), decision.new)


def test_job_that_is_sent_again_is_not_new(scene, admit):
    scene.admit()
    scene.clock.advance(60)
    scene.deliver()

    decision = admit()

    assert (Run, "job-1", False, False) == (type(decision), decision.job, decision.new, decision.sent)


def test_conflict_discloses_nothing(scene, admit):
    scene.done()

    decision = decide.admit(
        scene.store.admit, scene.claim("job-2", "fp-2", on_mismatch="conflict"), Policy.RUN
    )

    assert Refuse(why=Why.CONFLICT) == decision


def test_worker_waits_for_a_busy_or_resting_job(scene, start):
    scene.run()
    busy = start()
    scene.fail(after=9.0)
    resting = start()

    assert [("busy", 0.0), ("backoff", 9.0)] == [(each.word, each.rest) for each in (busy, resting)]


def test_worker_runs_nothing_of_an_invalidated_job(scene, start):
    scene.admit()
    scene.invalidate()

    assert (Refuse, Why.SUPERSEDED) == (type(decision := start()), decision.why)


def test_message_of_a_lost_record_admits_its_job_again(scene, start):
    first, second = start("owner-1"), start("owner-2")

    assert [Run, Wait] == [type(first), type(second)]
    assert ("running", "job-1", "owner-1") == (scene.read().flight, scene.read().job, scene.read().owner)


def _unless_it_raises(call):
    try:
        return call()
    except Exception as error:  # noqa: BLE001  # the assertion shows it
        return error
