"""The parts of a long transcript are jobs of their own."""

from dataclasses import replace
from types import SimpleNamespace

import pytest

import celeryconfig
from askonce.errors import Cancelled, Configuration, PayloadInvalid, Permanent, Postponed, Transient
from askonce.execution import Computed, Deferred, Delivery, Failed, Reused
from askonce.key import identify
from askonce.lost import Budget
from askonce.record import BUCKETS
from askonce.spec import RetryPolicy
from settings.environment import Settings
from tasks.meetings import body as meetings
from tasks.meetings.questions import part
from tests.jobs import DELIVERED
from tests.unit.meeting_reader import LONG, MEETING, REST, Model, Reader, analyzed, extracted

ONE, TWO = LONG[:20], LONG[20:]


def never():
    pytest.fail("the body was run")


@pytest.fixture
def reader(scene):
    return Reader(scene, meetings.analyze)


def lost(scene):
    """The jobs whose messages the reaper sends, once their rests are over."""
    found = scene.store.reap(range(BUCKETS), DELIVERED, Budget())
    return [each.job for each in found]


def test_meeting_goes_on_with_the_parts_that_are_there(reader, scene):
    reader.ask()
    reader.work(Model(analyzed(), Transient("http_503")))
    scene.clock.advance(REST)
    model = Model(analyzed())

    done = reader.work(model)

    assert model.texts == [TWO]
    assert (done.result.attempts, done.result.cost_usd) == (1, 1.0), "both parts cost that to make"


def test_summary_that_failed_is_asked_again_and_the_parts_are_not(scene):
    reader = Reader(scene, meetings.extract)
    reader.ask()
    model = Model(extracted("a"), extracted("b"), Transient("http_503"), {"summary": "ab"})

    reader.work(model)
    scene.clock.advance(REST)
    done = reader.work(model)

    assert isinstance(done, Computed)
    assert model.texts == [ONE, TWO, "a\nb", "a\nb"]


def test_part_that_rests_puts_its_meeting_back_for_as_long(reader):
    reader.ask()

    executed = reader.work(Model(analyzed(), Transient("http_503")))

    assert (type(executed), executed.reason, executed.after) == (Deferred, "waiting_for_part", REST)


def test_part_that_the_model_puts_back_puts_its_meeting_back(reader):
    reader.ask()

    executed = reader.work(Model(Postponed("rate_limited", retry_after=20.0)))

    assert (executed.reason, executed.after) == ("waiting_for_part", 20.0)
    assert reader.part_of("analyze", ONE).attempts == 0


def test_part_and_meeting_that_were_put_back_are_both_sent_again(reader, scene):
    reader.ask()
    reader.work(Model(Postponed("rate_limited", retry_after=20.0)))
    assert lost(scene) == []
    scene.clock.advance(20)

    assert {job.task for job in lost(scene)} == {"meetings.part", "meetings.analyze"}


def test_message_of_a_part_does_nothing_where_its_meeting_was_first(reader, scene):
    reader.ask()
    reader.work(Model(Postponed("rate_limited", retry_after=20.0)))
    scene.clock.advance(20)
    [message] = [job for job in lost(scene) if job.task == "meetings.part"]
    reader.work(Model(analyzed(), analyzed()))

    again = scene.executor.execute(Delivery(spec=reader.part, job=message), never)

    assert (type(again), again.result.value) == (Reused, analyzed())


@pytest.mark.parametrize(
    ("failure", "kind"),
    [
        (Permanent("refused"), "permanent"),
        (Configuration("no_credit"), "configuration"),
    ],
)
def test_part_that_cannot_succeed_ends_its_meeting_in_the_same_way(reader, failure, kind):
    reader.ask()

    executed = reader.work(Model(analyzed(), failure))

    assert (executed.kind, executed.reason) == (kind, failure.reason)


def test_part_that_no_record_can_hold_is_final_and_never_paid(reader):
    reader.part = replace(reader.part, max_payload_bytes=20)
    reader.ask()
    model = Model()

    executed = reader.work(model)

    assert (executed.kind, executed.reason, model.asked) == ("permanent", "too_large", [])


def test_meeting_whose_part_is_quarantined_is_quarantined_at_once(reader, scene):
    reader.part = replace(reader.part, retry=RetryPolicy(max_attempts=1))
    reader.ask()

    executed = reader.work(Model(Transient("http_500")))

    assert isinstance(executed, Failed)
    assert (executed.kind, executed.reason, executed.attempts) == ("quarantined", "http_500", 1)


def test_part_whose_attempts_are_spent_ends_its_meeting_at_once(reader, scene):
    reader.ask()
    model = Model(analyzed(), *[Transient("http_500")] * 9)

    for _attempt in range(3):
        executed = reader.work(model)
        scene.clock.advance(4 * REST)

    assert isinstance(executed, Failed)
    assert (executed.kind, executed.reason) == ("quarantined", "http_500")
    assert model.texts.count(TWO) == 3, "the attempts of the part, and no more"


def test_replay_of_a_quarantined_meeting_asks_for_the_missing_part(reader, scene):
    reader.ask()
    model = Model(analyzed(), *[Transient("http_500")] * 3, analyzed())
    for _attempt in range(3):
        reader.work(model)
        scene.clock.advance(4 * REST)
    scene.clock.advance(16 * REST)

    reader.ask(force=True)
    executed = reader.work(model)

    assert isinstance(executed, Computed)
    assert model.texts == [ONE, TWO, TWO, TWO, TWO]


def test_equal_parts_of_one_transcript_are_one_call(reader):
    model = Model(analyzed())

    answer = reader.whole(model, {**MEETING, "transcript": f"{ONE}{ONE}"})

    assert (model.texts, answer.cost_usd) == ([ONE], 0.5)


def test_parts_of_other_instructions_are_other_calls(reader, scene):
    reader.whole(Model(analyzed(), analyzed()))
    both = {"extract": extracted(), "analysis": analyzed()}
    model = Model(both, both, {"summary": "one"})

    Reader(scene, meetings.full).whole(model)

    assert len(model.asked) == 3


def test_parts_of_another_tenant_are_other_calls(reader):
    reader.whole(Model(analyzed(), analyzed()))
    model = Model(analyzed(), analyzed())
    reader.ask(tenant="acme")

    reader.work(model)

    assert model.texts == [ONE, TWO]
    assert reader.part_of("analyze", ONE, tenant="acme").value is not None


def test_parts_belong_to_the_batch_of_their_meeting(reader, scene):
    reader.ask(run="batch-7")
    reader.work(Model(Postponed("rate_limited", retry_after=20.0)))
    scene.clock.advance(20)

    assert {job.run for job in lost(scene)} == {"batch-7"}


def test_forced_meeting_reads_every_part_anew(reader, scene):
    reader.whole(Model(analyzed(), analyzed()))
    scene.clock.advance(10)
    reader.ask(force=True)
    model = Model(analyzed(), Transient("http_503"), analyzed())

    reader.work(model)
    scene.clock.advance(REST)
    executed = reader.work(model)

    assert isinstance(executed, Computed)
    assert model.texts == [ONE, TWO, TWO], "and each of them once"


def test_meeting_that_took_long_gives_its_slot_back_between_parts(reader, scene):
    reader.slot_seconds = 0.0
    reader.ask()
    model = Model(analyzed(), analyzed())

    first = reader.work(model)
    scene.clock.advance(1)
    second = reader.work(model)

    assert isinstance(first, Deferred)
    assert (first.reason, first.after) == ("more_parts", 1.0)
    assert isinstance(second, Computed)
    assert (second.result.attempts, len(model.asked)) == (1, 2)


def test_kept_parts_do_not_use_up_the_time_of_a_meeting(scene):
    reader = Reader(scene, meetings.analyze, slot_seconds=0.0)
    three = {**MEETING, "transcript": "Ann: we start now..\nBob: yes, we do it.\nAnn: that is it."}
    reader.ask(three)
    model = Model(*[analyzed()] * 3)

    for _attempt in range(3):
        executed = reader.work(model, three)
        scene.clock.advance(1)

    assert isinstance(executed, Computed)


def test_part_that_another_worker_runs_is_waited_for(reader, scene, running, monkeypatch):
    monkeypatch.setattr("tasks.meetings.questions.LONGEST_WAIT", 0.05)
    job = identify(reader.part, {"operation": "analyze", "text": ONE})
    running(lambda body: scene.caller.call(reader.part, job, body, timeout=5))
    reader.ask()

    executed = reader.work(Model())

    assert (type(executed), executed.reason, executed.after) == (Deferred, "waiting_for_part", 5.0)


def test_store_that_is_away_between_parts_uses_no_attempt(reader, scene):
    reader.ask()
    delivery = scene.delivery()
    failing = scene.fail_on("admit")
    model = Model()

    executed = scene.executor.execute(delivery, lambda: reader.read(MEETING, reader.resources(model)))

    assert (executed.reason, executed.after, failing.calls) == ("store_unavailable", 5.0, 1)
    assert reader.scene.read().attempts == 0


def test_part_runs_by_itself_from_its_message():
    model = Model(extracted("it"))

    answer = part({"operation": "extract", "text": ONE}, SimpleNamespace(ask=lambda: model))

    assert (answer.value, model.texts) == (extracted("it"), [ONE])


@pytest.mark.parametrize("text", ["", " \n", "\u200b\u2060"])
def test_blank_part_is_final_and_never_paid(text):
    model = Model(extracted())

    with pytest.raises(Permanent) as caught:
        part({"operation": "extract", "text": text}, SimpleNamespace(ask=lambda: model))

    assert (caught.value.reason, model.asked) == ("blank_text", [])


@pytest.mark.parametrize(
    ("field", "value"), [("operation", "judge"), ("text", "\u200b"), ("text", 7), ("text", None)]
)
def test_part_that_cannot_be_asked_is_refused_by_name(reader, field, value):
    with pytest.raises(PayloadInvalid) as caught:
        identify(reader.part, {"operation": "extract", "text": ONE, field: value})

    assert caught.value.field == field


def test_texts_of_parts_are_kept_as_they_are(reader):
    job = identify(reader.part, {"operation": "extract", "text": "Ann: hi.\r\n\n"})

    assert b'"Ann: hi.\\r\\n\\n"' in job.payload


def test_meeting_whose_part_is_cancelled_is_cancelled(reader):
    reader.ask()

    executed = reader.work(Model(analyzed(), Cancelled("ignored")))

    assert (executed.kind, executed.reason) == ("cancelled", "ignored")


def test_time_limits_leave_room_for_the_last_part_of_an_attempt():
    settings = Settings(_env_file=None)

    assert celeryconfig.task_soft_time_limit > settings.llm_timeout + settings.longest_call()
    assert celeryconfig.task_time_limit > celeryconfig.task_soft_time_limit
