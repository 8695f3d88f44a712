import logging
from dataclasses import replace
from threading import Event as Signal

import pytest
from celery import Celery

from askonce import events, log
from askonce.adapters.celery import AskOnce, IdempotentTask
from askonce.adapters.memory import MemoryStore
from askonce.answer import Answer
from askonce.errors import JobFailed, Permanent, ResultTimeout, StoreUnavailable, Transient
from askonce.events import Event, EventType, Subject, emit, ignore
from askonce.execution import Computed, Failed, Reused, Skipped
from askonce.key import identify
from askonce.lease import LeaseRenewer
from askonce.reaper import Reaper
from askonce.spend import Spend
from askonce.store import Lease, Renewal, Write
from askonce.store_down.spill import Spill, Unstored
from tests.jobs import DELIVERED

#: The events of the end of a run.
ENDS = ("job.completed", "job.failed", "job.done")


def never():
    pytest.fail("the body was run")


@pytest.fixture(autouse=True)
def nothing_logged_yet(monkeypatch):
    monkeypatch.setattr(events, "_logged", set())


class Broken(list):
    """A listener that notes each event and raises."""

    def __call__(self, event):
        self.append(event)
        raise RuntimeError("text of a payload")

    @property
    def names(self):
        return [event.name for event in self]


@pytest.fixture
def broken():
    return Broken()


def test_every_event_has_a_name_of_its_own():
    names = [kind.value.name for kind in EventType]

    assert names == [kind.name.lower().replace("_", ".", 1) for kind in EventType]
    assert len(set(names)) == len(names)


@pytest.mark.parametrize("kind", EventType, ids=lambda kind: kind.value.name)
def test_event_has_a_level_and_typed_fields(kind):
    assert kind.level in (logging.DEBUG, logging.INFO, logging.WARNING)
    for name, types in kind.fields.items():
        assert name.isidentifier()
        assert name not in ("task", "key", "job")
        assert all(isinstance(each, type) for each in (types if isinstance(types, tuple) else (types,)))


WARNINGS = {
    "answer.ttl_refused",
    "job.unreadable",
    "job.send_failed",
    "job.failed",
    "job.spend_unknown",
    "job.invalid",
    "job.fenced",
    "job.unstored",
    "job.unkept",
    "job.degraded",
    "store.down",
    "worker.paused",
    "worker.unannounced",
    "store.refused",
    "record.damaged",
    "message.undecodable",
    "message.unknown_task",
    "message.invalid_task",
    "message.invalid_option",
    "message.invalid_payload",
    "message.identity_mismatch",
    "message.link_refused",
    "message.garbage",
    "message.other_version",
    "message.unkept",
    "message.forgotten",
    "lease.lost",
    "reaper.failed",
    "provider.away",
    "pace.alone",
    "schedule.unnoted",
    "schedule.refused",
    "schedule.missed",
    "schedule.paused",
    "schedule.away",
    "schedule.clock_off",
    "thread.restarted",
}


def test_event_for_an_operator_is_a_warning():
    assert {kind.value.name for kind in EventType if kind.level == logging.WARNING} == WARNINGS


def test_event_is_about_a_job_or_a_subject(scene, heard):
    job = identify(scene.spec, scene.question)

    emit(heard.append, EventType.JOB_HIT, job, age_seconds=1.0)
    emit(heard.append, EventType.LEASE_LOST, Subject(key="key"))
    emit(heard.append, EventType.STORE_UP)

    assert [(e.name, e.task, e.key, e.job) for e in heard] == [
        ("job.hit", "rates.fetch", job.key, job.id),
        ("lease.lost", "", "key", ""),
        ("store.up", "", "", ""),
    ]


@pytest.mark.parametrize("data", [{"other": 1}, {"age_seconds": "1"}], ids=["field", "type"])
def test_check_of_events_finds_what_is_not_declared(heard, data):
    emit(heard.append, EventType.JOB_HIT, **data)

    assert heard.undeclared == [("job.hit", *next(iter(data.items())))]
    heard.clear()


# Every path of a job emits what became of it.


def test_inline_hit_attach_and_negative_are_emitted(scene, raising, running):
    scene.call()
    scene.call(never)
    running(lambda body: scene.call(body, {"currency": "EUR"}))
    with pytest.raises(ResultTimeout):
        scene.call(never, {"currency": "EUR"}, timeout=0.02)
    scene.answered({"currency": "USD"}, raising(Permanent("http_404")))
    with pytest.raises(JobFailed):
        scene.call(never, {"currency": "USD"})

    assert [event.name for event in scene.heard if event.name not in ENDS] == [
        "job.admitted",
        "job.hit",
        "job.admitted",
        "job.attached",
        "job.admitted",
        "job.negative",
    ]


def test_foreign_hit_attach_and_negative_are_emitted(scene, raising, running):
    assert isinstance(scene.run_foreign(), Computed)
    assert isinstance(scene.run_foreign(never), Reused)
    running(lambda body: scene.run_foreign(body, {"currency": "EUR"}))
    assert isinstance(scene.run_foreign(never, {"currency": "EUR"}), Skipped)
    scene.answered({"currency": "USD"}, raising(Permanent("http_404")))
    assert isinstance(scene.run_foreign(never, {"currency": "USD"}), Failed)

    assert [event.name for event in scene.heard if event.name not in ENDS] == [
        "job.admitted",
        "job.hit",
        "job.admitted",
        "job.attached",
        "job.admitted",
        "job.negative",
    ]


def test_inline_call_emits_its_first_decision_only(scene):
    scene.executor = replace(scene.executor, draw=lambda low, _high: low)
    scene.caller = replace(scene.caller, runner=replace(scene.runner, executor=scene.executor))
    failures = [Transient("http_503"), Transient("http_503")]

    def body():
        if failures:
            raise failures.pop()
        return scene.answer

    scene.call(body)

    assert scene.heard.names == ["job.admitted", "job.deferred", "job.deferred", "job.completed", "job.done"]


def test_inline_call_that_runs_a_queued_job_is_one_attach(scene):
    scene.ask()
    scene.call()

    assert scene.heard.names == ["job.admitted", "job.attached", "job.completed", "job.done"]


@pytest.mark.parametrize(("paid", "emitted"), [(Spend(cost_usd=0.125), 0.125), (Spend(), None), (None, 0.5)])
def test_completed_event_has_the_cost_of_its_run_only(scene, paid, emitted):
    asked = scene.answered(body=lambda: Answer(value=1, cost_usd=0.5, usage={"n": 2}, paid=paid))

    assert scene.heard.named("job.completed")[0].data["cost_usd"] == emitted
    assert (asked.result(0).cost_usd, asked.result(0).usage) == (0.5, {"n": 2})
    assert scene.ask().answer.cost_usd == 0.5


# A listener that raises stops nothing.


def test_listener_that_raises_is_logged_once_per_kind(broken, caplog):
    for _ in range(3):
        emit(broken, EventType.JOB_HIT)
        emit(broken, EventType.STORE_UP)

    assert len(broken) == 6
    assert [record.getMessage() for record in caplog.records] == [
        "a listener raised RuntimeError on job.hit; its events are lost",
        "a listener raised RuntimeError on store.up; its events are lost",
    ]


def test_listener_that_raises_another_error_is_logged_too(caplog):
    for error in (RuntimeError("a"), KeyError("b"), KeyError("c")):
        emit(lambda _event, error=error: (_ for _ in ()).throw(error), EventType.JOB_HIT)

    assert len(caplog.records) == 2


def test_listener_that_ignores_is_not_called(caplog):
    # No task: it could not be emitted, and that would be logged.
    emit(ignore, EventType.JOB_HIT, None)

    assert [] == caplog.records


def test_job_is_done_although_its_listener_raises(scene, broken):
    scene.heard.append = broken
    scene.use(scene.store)

    assert scene.answered().result(0).value == scene.answer
    assert broken.names == ["job.admitted", "job.completed", "job.done"]


def test_reaper_goes_on_although_its_listener_raises(scene, broken, eventually, monkeypatch):
    monkeypatch.setattr("askonce.reaper._RECOVERY", 0.01)
    for number in range(3):
        scene.ask({"currency": f"C{number}"})
    scene.clock.advance(scene.spec.queue_deadline)
    failing = scene.fail_on("reap", times=2)
    sent = []
    reaper = Reaper(failing, sent.append, interval=0.02, delivered=lambda: DELIVERED, listen=broken)

    reaper.start()
    eventually(lambda: len(broken.names) == 4)
    reaper.stop()

    assert broken.names == ["reaper.failed"] + ["job.resent"] * 3
    assert len(sent) == 3


class Renewing:
    """A store that only renews; it fences one key."""

    def __init__(self):
        self.renewed = []

    def renew(self, leases):
        self.renewed += [lease.key for lease in leases]
        return [Renewal.FENCED if lease.key == "lost" else Renewal.OK for lease in leases]


def test_leases_are_renewed_although_the_listener_raises(broken, eventually):
    store = Renewing()
    leases = LeaseRenewer(store, listen=broken)

    with leases.hold(Lease("lost", "owner", 0.03)), leases.hold(Lease("kept", "owner", 0.03)):
        eventually(lambda: broken)
        before = store.renewed.count("kept")
        eventually(lambda: store.renewed.count("kept") > before + 3)

    assert broken.names == ["lease.lost"]


def test_spill_goes_on_although_its_listener_raises(scene, broken):
    written, spill = Signal(), Spill(interval=0.01, listen=broken)
    job = identify(scene.spec, scene.question)

    def fail():
        raise RuntimeError("a record of a newer version")

    spill.keep(Unstored(job=job, size=1, write=fail))
    spill.keep(Unstored(job=job, size=1, write=lambda: written.set() or Write.OK))

    assert written.wait(10)
    assert spill.drain(10) == 0
    assert broken.names == ["job.unkept", "job.stored_late"]


def test_drain_counts_its_answers_although_the_listener_raises(scene, broken):
    up, job = Signal(), identify(scene.spec, scene.question)
    spill = Spill(interval=0.01, listen=broken)

    def write():
        if not up.is_set():
            raise StoreUnavailable(verb="complete", reason="TimeoutError")
        return Write.OK

    for _ in range(2):
        spill.keep(Unstored(job=job, size=1, write=write))

    assert spill.drain(0.01) == 2
    up.set()
    assert spill.drain(10) == 0


# An app logs its events unless it is given another listener.


@pytest.fixture
def app():
    app = Celery("events", broker="memory://", set_as_current=False)
    app.conf.task_ignore_result = True
    yield app
    app.close()


def test_app_without_a_listener_logs_a_line_for_each_job(app, caplog):
    caplog.set_level(logging.INFO, logger="askonce")
    AskOnce(app, store=MemoryStore)

    @app.task(name="rates.fetch", base=IdempotentTask, shared=False)
    def fetch(currency):
        return currency

    asked = fetch.enqueue({"currency": "BRL"})
    fetch.enqueue({"currency": "BRL"})

    assert [record.getMessage() for record in caplog.records if record.name == "askonce"] == [
        f"job.admitted task=rates.fetch key={asked.key[:16]} job={asked.job} also=cache_miss",
        f"job.attached task=rates.fetch key={asked.key[:16]} job={asked.job}",
    ]


def test_event_is_logged_at_its_own_level(caplog):
    caplog.set_level(logging.WARNING, logger="askonce")

    for kind in EventType:
        log.log_event(Event(type=kind))

    assert {record.getMessage().partition(" ")[0] for record in caplog.records} == WARNINGS
