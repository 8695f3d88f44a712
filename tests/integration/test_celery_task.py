from dataclasses import replace
from uuid import uuid4

import pytest
from celery import Celery

from askonce.adapters.celery import AskOnce, IdempotentTask, received
from askonce.adapters.memory import MemoryStore
from askonce.adapters.redis import RedisStore
from askonce.errors import FingerprintMismatch, JobFailed, PayloadInvalid, StoreUnavailable
from askonce.key import identify
from askonce.outcomes import Admitted, Attached, Hit
from askonce.record import Status
from askonce.spec import JobSpec, RetryPolicy
from tests.deadlines import stretched
from tests.jobs import new_header, new_job

pytestmark = pytest.mark.integration

SOUND = new_header(new_job("0" * 64, fingerprint="0" * 64))
FORGED = {
    "no object": "key",
    "other fields": {"key": "0" * 64},
    "field too many": {**SOUND, "key": "0" * 64, "more": "j"},
    "job no text": {**SOUND, "key": "0" * 64, "job": 7},
    "no text": {**SOUND, "key": 7},
    "too short": {**SOUND, "key": "0" * 63},
    "no digest": {**SOUND, "key": "z" * 64},
    "another script": {**SOUND, "key": "}:" + "0" * 62},
}


def double(n):
    return 2 * n


def double_for(n, amount):
    return n * amount


def test_answer_is_made_by_a_worker_and_kept(plain, number):
    first = plain.add.enqueue({"n": number})
    result = first.result(stretched(10))
    second = plain.add.enqueue({"n": number})

    assert (result.value, result.source) == (number + 1, "call")
    assert isinstance(second, Hit)
    assert plain.calls.of(number) == [("add", number, 1)]


def test_positional_keyword_and_default_arguments_are_one_job(plain, number, gate):
    plain.calls.gates[number] = gate
    asked = [
        plain.add.delay(number),
        plain.add.delay(number, 1),
        plain.add.delay(n=number),
        plain.add.delay(more=1, n=number),
        plain.add.apply_async((number,), {"more": 1}),
        plain.add.apply_async(kwargs={"n": number}),
    ]
    outcome = plain.add.enqueue({"n": number})
    gate.set()

    assert {each.id for each in asked} == {outcome.job}
    assert outcome.result(stretched(10)).value == number + 1
    assert len(plain.calls.of(number)) == 1


def test_other_argument_is_another_question(plain, number):
    first, second = plain.add.enqueue({"n": number}), plain.add.enqueue({"n": number, "more": 2})

    assert first.key != second.key
    assert (first.result(stretched(10)).value, second.result(stretched(10)).value) == (number + 1, number + 2)


def test_task_called_directly_just_runs(plain, number):
    assert plain.add(number, more=5) == number + 5
    assert plain.add(number, more=5) == number + 5

    assert len(plain.calls.of(number)) == 2
    assert isinstance(plain.add.enqueue({"n": number, "more": 5}), Admitted)


@pytest.mark.parametrize(
    ("args", "kwargs", "reason"),
    [((), {}, "missing a required argument: 'n'"), ((1, 2, 3), {}, "too many"), ((), {"x": 1}, "missing")],
)
def test_call_that_does_not_fit_the_task_is_not_sent(plain, args, kwargs, reason):
    with pytest.raises(PayloadInvalid, match=reason):
        plain.add.delay(*args, **kwargs)


def test_spec_of_another_task_is_refused():
    app = Celery("lonely", set_as_current=False)
    AskOnce(app, store=MemoryStore)
    task = app.task(name="mine", base=IdempotentTask, spec=JobSpec(name="yours"), shared=False)(double)

    with pytest.raises(ValueError, match="task mine has the spec of yours"):
        task.delay(1)


@pytest.mark.parametrize("bind", [False, True])
def test_body_that_no_worker_awaits_is_refused(bind):
    app = Celery("awaited", broker="memory://", set_as_current=False)

    async def read(*_):
        pass

    with pytest.raises(TypeError, match="must be a plain function, not async def"):
        app.task(name="awaited.read", base=IdempotentTask, shared=False, lazy=False, bind=bind)(read)


def test_body_that_no_worker_awaits_is_refused_where_it_is_written():
    app = Celery("awaited", broker="memory://", set_as_current=False)
    AskOnce(app, store=MemoryStore)
    register = app.task(name="awaited.read", base=IdempotentTask, shared=False)

    async def read(*_):
        pass

    with pytest.raises(TypeError, match=r"awaited.read: .* not async def"):
        register(read)


@pytest.mark.parametrize("bind", [False, True])
def test_shown_field_that_the_body_does_not_take_is_refused(bind):
    app = Celery("shown", broker="memory://", set_as_current=False)
    register = app.task(
        name="shown.read",
        base=IdempotentTask,
        spec=JobSpec(shown=("n", "order_id")),
        shared=False,
        lazy=False,
        bind=bind,
    )

    with pytest.raises(ValueError, match=r"task shown\.read: shown names 'order_id', and its function takes"):
        register(double)


def test_shown_field_that_the_body_does_not_take_is_refused_where_it_is_written():
    app = Celery("shown", broker="memory://", set_as_current=False)
    AskOnce(app, store=MemoryStore)
    spec = JobSpec(shown=("order_id",))

    with pytest.raises(ValueError, match=r"task shown\.read: shown names 'order_id'"):
        app.task(name="shown.read", base=IdempotentTask, spec=spec, shared=False)(double)


def test_body_that_takes_any_field_may_show_any():
    app = Celery("shown", broker="memory://", set_as_current=False)
    AskOnce(app, store=MemoryStore)

    @app.task(name="shown.read", base=IdempotentTask, spec=JobSpec(shown=("order_id",)), shared=False)
    def read(n, **fields):
        return n, fields

    assert read.job_spec.shown == ("order_id",)


def cures(cure_of):
    app = Celery("curing", broker="memory://", set_as_current=False)
    return AskOnce(app, store=MemoryStore, cure_of=cure_of)


def test_cure_is_one_line_of_the_apps_own_words():
    once = cures(lambda reason, *, kind, key: f"{reason}\n{kind} {key}\x1b[2J")

    assert once.cure_of("no_credit", kind="permanent", key="0a") == "no_credit?permanent 0a?[2J"


def test_cure_that_fails_is_none():
    once = cures(lambda _reason: 1 / 0)

    assert once.cure_of("no_credit", kind="permanent", key="0a") == ""


def test_app_without_askonce_gets_an_error():
    task = Celery("bare", set_as_current=False).task(name="mine", base=IdempotentTask, shared=False)(double)

    with pytest.raises(RuntimeError, match="Celery app bare has no AskOnce"):
        task.delay(1)


def test_task_takes_the_specs_name_from_its_own(plain):
    assert plain.add.job_spec.name == "add"
    assert plain.add.ignore_result


def test_countdown_holds_a_message_and_its_answer_is_everybodys(plain, number, eventually):
    plain.add.apply_async((number,), countdown=0.2)
    before = plain.calls.of(number)

    eventually(lambda: plain.calls.of(number))

    assert before == []
    eventually(lambda: isinstance(plain.add.enqueue({"n": number}), Hit))
    assert len(plain.calls.of(number)) == 1


def test_message_that_something_else_sent_shares_the_job(plain, number, eventually):
    key = identify(plain.add.job_spec, {"n": number, "more": 1}).key
    ends = ("job.completed", "job.attached", "job.hit")

    for _ in range(5):
        plain.app.send_task("add", (number,))
    # One message runs; the others find its job, or its answer.
    eventually(lambda: sum(event.key == key and event.name in ends for event in plain.heard) >= 5)

    assert plain.calls.of(number) == [("add", number, 1)]
    assert isinstance(plain.add.enqueue({"n": number}), Hit)


@pytest.mark.parametrize("header", FORGED.values(), ids=FORGED)
def test_message_with_a_forged_header_is_a_dead_letter(plain, number, eventually, ended, header):
    job = plain.app.send_task("add", (number,), headers={"askonce": header}).id

    eventually(lambda: ("OptionInvalid", job) in ended)

    assert ["job.invalid", "message.invalid_option"] == plain.names(job)
    assert plain.calls.of(number) == []
    assert plain.store.read(["0" * 64])[0].status is Status.ABSENT


def test_message_whose_payload_is_unusable_fails_alone(plain, number, eventually, ended):
    bad = plain.app.send_task("add", (number, 1, 2)).id
    good = plain.app.send_task("add", (number,)).id

    eventually(lambda: {("PayloadInvalid", bad), ("SUCCESS", good)} <= set(ended))

    assert plain.calls.of(number) == [("add", number, 1)]


def test_copy_of_a_message_does_not_call_again(plain, number, gate, eventually, ended):
    plain.calls.gates[number] = gate
    asked = plain.add.enqueue({"n": number})
    eventually(lambda: plain.calls.of(number))
    fingerprint = plain.store.read([asked.key])[0].fingerprint
    headers = {"askonce": new_header(new_job(asked.key, asked.job, fingerprint=fingerprint))}
    plain.app.send_task("add", kwargs={"n": number, "more": 1}, task_id=asked.job, headers=headers)
    eventually(lambda: "job.skipped" in plain.names(asked.job))

    gate.set()

    assert asked.result(stretched(10)).value == number + 1
    eventually(lambda: ("SUCCESS", asked.job) in ended)
    assert len(plain.calls.of(number)) == 1


def test_failed_call_ends_its_message_and_the_reaper_repeats_it(plain, number, errors, eventually, ended):
    plain.calls.errors[number] = [errors["transient"]]

    asked = plain.add.enqueue({"n": number})

    assert asked.result(stretched(10)).value == number + 1
    # The reaper may send the job again before Celery has ended the first message.
    eventually(lambda: sorted(state for state, job in ended if job == asked.job) == ["RETRY", "SUCCESS"])
    # The reaper emits its event after it has sent; the worker may have ended the job by then.
    told = ["job.admitted", "job.completed", "job.deferred", "job.done", "job.resent"]
    eventually(lambda: sorted(plain.names(asked.job)) == told)
    assert len(plain.calls.of(number)) == 2


def test_permanent_failure_fails_its_message_and_is_kept(plain, number, errors, eventually, ended):
    plain.calls.errors[number] = [errors["permanent"]]
    asked = plain.add.enqueue({"n": number})

    with pytest.raises(JobFailed, match="http_404"):
        asked.result(stretched(10))

    eventually(lambda: ("JobFailed", asked.job) in ended)
    with pytest.raises(JobFailed, match="http_404"):
        plain.add.enqueue({"n": number}).result(stretched(10))
    assert len(plain.calls.of(number)) == 1


@pytest.mark.parametrize(("error", "told"), [(None, "job.reused"), ("permanent", "job.negative")])
def test_many_messages_of_one_job_write_one_end(plain, number, errors, eventually, error, told):
    plain.calls.errors[number] = [errors[error]] if error else []
    asked = plain.add.enqueue({"n": number})
    eventually(lambda: "job.done" in plain.names(asked.job))
    [record] = plain.store.read([asked.key])
    headers = {"askonce": new_header(new_job(asked.key, asked.job, fingerprint=record.fingerprint))}

    for _ in range(5):
        plain.app.send_task("add", kwargs={"n": number, "more": 1}, task_id=asked.job, headers=headers)

    eventually(lambda: 5 == plain.names(asked.job).count(told))
    assert 1 == plain.names(asked.job).count("job.done")


def test_foreign_message_of_a_kept_failure_fails_without_a_call(plain, number, errors, eventually, ended):
    plain.calls.errors[number] = [errors["permanent"]]
    with pytest.raises(JobFailed):
        plain.add.enqueue({"n": number}).result(stretched(10))

    foreign = plain.app.send_task("add", (number,)).id

    eventually(lambda: ("JobFailed", foreign) in ended)
    assert plain.calls.of(number) == [("add", number, 1)]


def test_job_whose_message_is_lost_is_sent_again(plain, number, monkeypatch, eventually):
    monkeypatch.setattr(type(plain.once.sender), "send", lambda _self, _message: None)
    spec, producer = plain.add.job_spec, replace(plain.once.producer, publish=None)
    asked = producer.enqueue(replace(spec, queue_deadline=0.2), {"n": number, "more": 1})
    monkeypatch.undo()

    assert asked.result(stretched(10)).value == number + 1
    eventually(lambda: plain.names(asked.job).count("job.resent") == 1)


def test_job_of_an_inline_call_that_never_started_is_sent(plain, number, monkeypatch):
    away = StoreUnavailable(verb="start", reason="TimeoutError")
    spec, payload = replace(plain.add.job_spec, queue_deadline=0.2), {"n": number, "more": 1}

    def fail(*_, **__):
        raise away

    monkeypatch.setattr(type(plain.store), "start", fail)
    with pytest.raises(StoreUnavailable):
        plain.once.process().caller.call(spec, identify(spec, payload), fail, timeout=1)
    monkeypatch.undo()

    assert plain.add.enqueue(payload).result(stretched(10)).value == number + 1


def test_inline_call_needs_no_queue_that_its_process_knows(new_shop, number):
    shop = new_shop("routed", task_create_missing_queues=False, task_routes={"add": {"queue": "elsewhere"}})
    spec = shop.add.job_spec

    called = shop.once.process().caller.call(spec, identify(spec, {"n": number}), lambda: 7, timeout=1)

    assert called.value == 7


def test_attached_caller_gets_the_answer_of_the_first(plain, number, gate, eventually):
    plain.calls.gates[number] = gate
    first = plain.add.enqueue({"n": number})
    eventually(lambda: plain.calls.of(number))
    second = plain.add.enqueue({"n": number})
    gate.set()

    assert isinstance(second, Attached)
    assert first.result(stretched(10)).fence == second.result(stretched(10)).fence


def test_options_of_enqueue_go_through_apply_async(plain, number):
    first = plain.add.enqueue({"n": number})
    first.result(stretched(10))

    again = plain.add.apply_async((number,), force=True, task_id=str(uuid4()))

    assert again.id != first.job
    assert plain.add.enqueue({"n": number}, max_age=0.0).result(stretched(10)).job != first.job


@pytest.mark.long
def test_message_goes_back_for_as_long_as_the_store_is_silent(plain, number, monkeypatch, eventually, ended):
    silent = []

    def admit(_self, _claim):
        silent.append(1)
        raise StoreUnavailable(verb="admit", reason="TimeoutError")

    monkeypatch.setattr(received, "_STORE_DOWN", RetryPolicy(base=0.01, cap=0.1))
    monkeypatch.setattr(RedisStore, "admit", admit)
    job = plain.app.send_task("add", (number,)).id
    eventually(lambda: len(silent) > 6, seconds=30.0)
    monkeypatch.undo()

    eventually(lambda: ("SUCCESS", job) in ended, seconds=30.0)

    assert ("StoreUnavailable", job) not in ended
    assert plain.calls.of(number) == [("add", number, 1)]


def test_conflict_is_an_error_of_delay_and_discloses_nothing(plain, number):
    task = plain.app.task(
        name="pay",
        base=IdempotentTask,
        spec=JobSpec(key_fields=("n",), on_mismatch="conflict"),
        shared=False,
    )(double_for)
    plain.once.producer.enqueue(task.job_spec, {"n": number, "amount": 1})

    with pytest.raises(FingerprintMismatch):
        task.delay(number, 2)
