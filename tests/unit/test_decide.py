from dataclasses import replace
from types import SimpleNamespace

import pytest

from askonce.claim import Claim, Terms
from askonce.controls import Pause
from askonce.decide import Policy, enqueue_without_store, run_without_store, start
from askonce.decision import Refuse, Run, Serve, Wait, Why
from askonce.errors import (
    FingerprintMismatch,
    JobFailed,
    Permanent,
    StoreUnavailable,
    Superseded,
    Transient,
)
from askonce.job import Routing, new_job_id, new_owner
from askonce.key import identify
from askonce.lost import Budget
from askonce.record import BUCKETS, PAUSE_REST
from askonce.spec import RetryPolicy
from askonce.store import Admission, Lease, Start
from tests.jobs import DELIVERED

CORRECTED = {"currency": "BRL", "day": "2026-11-21"}
DOWN = StoreUnavailable(verb="admit", reason="TimeoutError")
RUN, LEAVE = Policy.RUN, Policy.LEAVE


def spent(scene, raising, on_give_up):
    """Fail a job in its only attempt; an earlier answer stays."""
    policy = RetryPolicy(max_attempts=1, base=5.0, on_give_up=on_give_up)
    scene.use(scene.store, replace(scene.spec, retry=policy))
    scene.ask()
    scene.work(raising(Transient("http_503")))


def resting(scene, raising):
    scene.ask()
    scene.work(raising(Transient("http_503")))


def lost(scene):
    scene.ask()
    scene.clock.advance(scene.spec.queue_deadline)
    scene.store.reap(range(BUCKETS), DELIVERED, Budget(jobs=0))


def conflicting(scene):
    scene.use(scene.store, replace(scene.spec, on_mismatch="conflict"))
    scene.answered(CORRECTED)


def aged(scene):
    scene.answered()
    scene.clock.advance(7)


def stale(scene):
    """Leave an answer that is stale for a second, and a job that makes it anew."""
    scene.use(scene.store, replace(scene.spec, stale_while_revalidate=60.0))
    # What it takes to store an answer is none of the scene's time.
    scene.executor = replace(scene.executor, clock=lambda: 0.0)
    scene.answered()
    scene.clock.advance(55)
    scene.ask()


#: What the record holds, what ``admit`` replies, the event, and for each policy the decision and its fields.
ADMISSIONS = {
    "nothing": (
        lambda _scene, **_: None,
        Admission.ADMITTED,
        ("job.admitted", {}),
        {LEAVE: (Run, {"new": True}), RUN: (Run, {"new": True})},
    ),
    "message lost": (
        lambda scene, **_: lost(scene),
        Admission.RESEND,
        ("job.resent", {"resends": 1}),
        {LEAVE: (Run, {"new": False}), RUN: (Run, {"new": False})},
    ),
    "queued": (
        lambda scene, **_: scene.ask(),
        Admission.ATTACHED,
        ("job.attached", {}),
        {LEAVE: (Wait, {"rest": 0.0, "word": "busy"}), RUN: (Run, {"new": False})},
    ),
    "running": (
        lambda scene, running, **_: (scene.ask(), running(scene.work)),
        Admission.ATTACHED,
        ("job.attached", {}),
        {LEAVE: (Wait, {"rest": 0.0}), RUN: (Wait, {"rest": 0.0, "word": "busy"})},
    ),
    "resting": (
        lambda scene, raising, **_: resting(scene, raising),
        Admission.ATTACHED,
        ("job.attached", {}),
        {LEAVE: (Wait, {"rest": 5.0}), RUN: (Wait, {"rest": 5.0, "word": "backoff"})},
    ),
    "fresh": (
        lambda scene, **_: aged(scene),
        Admission.HIT,
        ("job.hit", {"age_seconds": 7.0}),
        {LEAVE: (Serve, {}), RUN: (Serve, {})},
    ),
    "stale, and made anew": (
        lambda scene, **_: stale(scene),
        Admission.STALE,
        ("job.stale", {"age_seconds": 55.0, "stale_seconds": 1.0}),
        {LEAVE: (Serve, {}), RUN: (Serve, {})},
    ),
    "failed": (
        lambda scene, raising, **_: scene.answered(body=raising(Permanent("http_404"))),
        Admission.NEGATIVE,
        ("job.negative", {"kind": "permanent", "reason": "http_404"}),
        {policy: (Refuse, {"why": Why.FAILED, "attempts": 1, "stale": None}) for policy in Policy},
    ),
    "spent": (
        lambda scene, raising, **_: spent(scene, raising, "backoff"),
        Admission.BACKOFF,
        ("job.backoff", {"wait_seconds": 5.0}),
        {policy: (Refuse, {"why": Why.RESTS, "rest": 5.0}) for policy in Policy},
    ),
    "other payload": (
        lambda scene, **_: conflicting(scene),
        Admission.CONFLICT,
        ("job.conflict", {}),
        {policy: (Refuse, {"why": Why.CONFLICT, "job": ""}) for policy in Policy},
    ),
}


def fields_of(decision, expected):
    return {name: getattr(decision, name) for name in expected}


@pytest.mark.parametrize("policy", Policy)
@pytest.mark.parametrize("record", ADMISSIONS)
def test_admission_leads_to_its_decision_and_event(scene, raising, running, record, policy):
    arrange, outcome, event, decisions = ADMISSIONS[record]
    arrange(scene, raising=raising, running=running)
    before = len(scene.heard)

    decision, outcomes = scene.decide(policy)

    kind, fields = decisions[policy]
    assert outcomes == [outcome]
    assert (type(decision), fields_of(decision, fields)) == (kind, fields)
    assert [(each.name, dict(each.data)) for each in scene.heard[before:]] == [event]


def test_every_member_of_admission_is_decided_here():
    assert {outcome for _, outcome, _, _ in ADMISSIONS.values()} == set(Admission)


def test_hit_is_served_with_its_age_and_source(scene):
    aged(scene)

    served = scene.decide(Policy.LEAVE)[0].result

    assert (served.value, served.source, served.age) == (scene.answer, "cache", 7.0)


def test_caller_that_repeats_its_claim_waits_while_its_job_rests(scene, raising):
    job = new_job_id()
    scene.ask(job=job)
    scene.work(raising(Transient("http_503")))
    before = len(scene.heard)

    decision, outcomes = scene.decide(Policy.RUN, job)

    assert outcomes == [Admission.ADMITTED]
    assert decision == Wait(job=job, rest=5.0)
    assert scene.heard.names[before:] == ["job.attached"]


def test_caller_that_repeats_an_ended_claim_makes_a_new_call(scene):
    job = new_job_id()
    scene.answered(job=job)
    scene.clock.advance(scene.spec.soft_ttl)

    decision, outcomes = scene.decide(Policy.RUN, job)

    assert outcomes == [Admission.ADMITTED]
    assert (type(decision), decision.job, decision.new) == (Run, job, True)


def test_producer_that_repeats_its_claim_sends_the_message_again(scene):
    job = new_job_id()
    scene.ask(job=job)

    assert isinstance(scene.decide(Policy.LEAVE, job)[0], Run)


#: What the record holds, what ``start`` replies, the event or None, the decision and its fields.
STARTS = {
    "queued": (lambda scene, **_: scene.ask(), Start.GRANTED, None, Run, {"new": False}),
    "done": (
        lambda scene, **_: scene.answered(),
        Start.DONE,
        ("job.reused", {"source": "cache", "age_seconds": 0.0}),
        Serve,
        {},
    ),
    "running": (
        lambda scene, running, **_: (scene.ask(), running(scene.work)),
        Start.BUSY,
        ("job.skipped", {"outcome": "busy"}),
        Wait,
        {"rest": 0.0},
    ),
    "resting": (
        lambda scene, raising, **_: resting(scene, raising),
        Start.BACKOFF,
        ("job.skipped", {"outcome": "backoff"}),
        Wait,
        {"rest": 5.0},
    ),
    "replaced": (
        lambda scene, **_: (scene.ask(), scene.ask(CORRECTED)),
        Start.SUPERSEDED,
        ("job.skipped", {"outcome": "superseded"}),
        Refuse,
        {"why": Why.SUPERSEDED},
    ),
    "failed": (
        lambda scene, raising, **_: scene.answered(body=raising(Permanent("http_404"))),
        Start.NEGATIVE,
        ("job.negative", {"kind": "permanent", "reason": "http_404"}),
        Refuse,
        {"why": Why.FAILED, "attempts": 1},
    ),
    "expired": (
        lambda scene, **_: (scene.ask(expires=5.0), scene.clock.advance(6)),
        Start.UNRUN,
        ("job.failed", {"attempt": 0, "kind": "expired", "reason": "expired", "run_seconds": 0.0}),
        Refuse,
        {"why": Why.FAILED, "unrun": True},
    ),
    "paused": (
        lambda scene, **_: (scene.ask(), scene.store.controls.pause(Pause("all"), "maintenance")),
        Start.PAUSED,
        ("job.skipped", {"outcome": "paused"}),
        Wait,
        {"rest": PAUSE_REST, "paused": "maintenance"},
    ),
    "waiting in a paused queue": (
        lambda scene, **_: (scene.ask(), scene.store.controls.pause(Pause("all"), "maintenance")),
        Start.RETURNED,
        ("job.skipped", {"outcome": "paused"}),
        Wait,
        {"rest": 0.0, "paused": "maintenance", "returns": True},
    ),
    "ended long ago": (
        lambda scene, **_: (scene.ask(), scene.clock.advance(700_000)),
        Start.ENDED,
        ("job.skipped", {"outcome": "absent"}),
        Refuse,
        {"why": Why.GONE},
    ),
    "gone": (
        lambda scene, **_: (scene.ask(), scene.store._records.clear()),
        Start.ABSENT,
        ("job.skipped", {"outcome": "absent"}),
        Refuse,
        {"why": Why.GONE},
    ),
}


class Starting:
    """The scene's store, where no record can be admitted again; keeps the last reply of ``start``."""

    def __init__(self, store):
        self._store, self.admitted = store, []

    def start(self, job, lease, *kept, **how):
        self.reply = self._store.start(job, lease, *kept, **how)
        return self.reply

    def admit(self, claim):
        self.admitted.append(claim.job)


def started(scene, *, returns=False, **changes):
    """Start the scene's first message; the decision, and the outcome that the store replied."""
    job, store = scene.sender.sent[0].job._replace(**changes), Starting(scene.store)
    lease = Lease(job.key, new_owner("worker"), scene.spec.lease)
    decision = start(store, scene.spec, job, lease, scene.heard.append, returns=returns)
    assert store.admitted == ([job] if store.reply.outcome is Start.ABSENT else [])
    return decision, store.reply.outcome


@pytest.mark.parametrize("record", STARTS)
def test_start_leads_to_its_decision_and_event(scene, raising, running, record):
    arrange, outcome, event, kind, fields = STARTS[record]
    arrange(scene, raising=raising, running=running)
    before = len(scene.heard)

    decision, replied = started(scene, returns=outcome is Start.RETURNED)

    assert replied is outcome
    assert (type(decision), fields_of(decision, fields)) == (kind, fields)
    assert [(each.name, dict(each.data)) for each in scene.heard[before:]] == ([event] if event else [])


def test_start_admits_a_job_whose_record_is_gone(scene):
    scene.ask()
    scene.store._records.clear()
    job = scene.sender.sent[0].job
    lease = Lease(job.key, new_owner("worker"), scene.spec.lease)

    decision = start(scene.store, scene.spec, job, lease)

    record = scene.read()
    assert isinstance(decision, Run)
    assert (record.flight, record.job, record.owner) == ("running", job.id, lease.owner)


def test_start_with_another_payload_of_its_job_is_refused(scene):
    scene.ask()

    assert started(scene, fingerprint="0" * 64) == (Refuse(why=Why.CONFLICT), Start.CONFLICT)
    assert scene.heard.named("job.skipped")[0].data == {"outcome": "conflict"}


def test_every_member_of_start_is_decided_here():
    assert {outcome for _, outcome, _, _, _ in STARTS.values()} | {Start.CONFLICT} == set(Start)


ERRORS = {
    Why.FAILED: JobFailed,
    Why.RESTS: JobFailed,
    Why.CONFLICT: FingerprintMismatch,
    Why.SUPERSEDED: Superseded,
    Why.GONE: Superseded,
    Why.UNREADABLE: JobFailed,
    Why.STORE_DOWN: JobFailed,
}


@pytest.mark.parametrize("why", Why)
def test_refusal_has_an_error_for_a_waiting_caller(why):
    assert type(Refuse(why=why, job="job-1").to_error("key")) is ERRORS[why]
    assert Refuse(why=why, job="job-1", error=DOWN).to_error("key") is DOWN


@pytest.mark.parametrize(("policy", "kind"), [("local", Run), ("defer", Refuse), ("fail", Refuse)])
def test_worker_without_a_store_follows_the_policy(scene, policy, kind):
    spec, job = replace(scene.spec, on_store_down=policy), identify(scene.spec, scene.question)
    kept = SimpleNamespace(value=1)

    decision = run_without_store(spec, None, job, DOWN)

    assert type(decision) is kind
    assert kind is Run or decision.to_error(job.key) is DOWN
    assert run_without_store(spec, kept, job, DOWN) == Serve(result=kept)


NEEDS_A_RECORD = [
    {"force": True},
    {"max_age": 5.0},
    {"countdown": 5.0},
    {"expires": 5.0},
    {"tenant": "a"},
    {"run": "night"},
    {"routing": Routing(headers="{}")},
    {"routing": Routing(time_limit=5.0)},
    {"reject": True},
]


@pytest.mark.parametrize("change", [{}, {"routing": Routing("slow", 3)}, *NEEDS_A_RECORD])
@pytest.mark.parametrize("apart", [True, False])
@pytest.mark.parametrize("policy", ["local", "defer", "fail"])
def test_producer_without_a_store_sends_what_needs_no_record(scene, policy, apart, change):
    spec, options = replace(scene.spec, on_store_down=policy), dict(change)
    of_job = {name: options.pop(name) for name in ("tenant", "run", "routing") if name in options}
    claim = Claim(identify(spec, scene.question, **of_job), Terms.of(spec)._replace(**options))

    decision = enqueue_without_store(spec, claim, broker_apart=apart, down=DOWN)

    sends = policy != "fail" and apart and change not in NEEDS_A_RECORD
    assert type(decision) is (Run if sends else Refuse)
    assert sends or decision.to_error(claim.job.key) is DOWN
