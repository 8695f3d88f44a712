from dataclasses import replace

import pytest

from askonce.answer import Answer
from askonce.attempt import current_attempt
from askonce.errors import AnswerUnreadable, Transient
from askonce.handle import Handle, as_completed
from askonce.key import identify
from askonce.outcomes import Admitted, Attached, Backoff, Hit, Negative, Unreadable

ANSWER = {"rate": 5.25}
ONE, OTHER = {"currency": "BRL", "row": 1}, {"currency": "BRL", "row": 2}


def never():
    pytest.fail("a call was made")


def join_to_row(row, found):
    return {**row, **found}


def joined(row):
    return {**row, **ANSWER}


@pytest.fixture
def scene(scene):
    """The scene, with a task that uses one field of a row and joins its answer to the whole row."""
    spec = replace(scene.spec, input=lambda row: {"currency": row["currency"]}, present=join_to_row)
    scene.use(scene.store, spec)
    return scene


@pytest.fixture
def call(scene):
    """Call inline, with the caller's own row."""

    def make(row, body=lambda: ANSWER):
        return scene.caller.call(scene.spec, identify(scene.spec, row), body, timeout=5.0, row=row).value

    return make


def test_record_message_and_body_have_no_field_of_the_row(scene):
    asked = scene.answered(ONE)

    assert b'{"currency":"BRL"}' == scene.sender.sent[0].job.payload
    assert b'j{"rate":5.25}' == scene.read(asked.key).value.data


def test_hit_is_joined_to_each_callers_own_row(scene):
    scene.answered(ONE)

    one, other = scene.ask(ONE), scene.ask(OTHER)

    assert isinstance(one, Hit)
    assert (joined(ONE), joined(OTHER)) == (one.answer.value, other.result(0).value)
    assert 1 == len(scene.sender.sent)


def test_callers_of_one_job_each_get_their_own_row(scene):
    one, other = scene.ask(ONE), scene.ask(OTHER)
    scene.work()

    assert (Admitted, Attached) == (type(one), type(other))
    assert (joined(ONE), joined(OTHER)) == (one.result(1).value, other.result(1).value)


def test_rows_that_were_waited_for_together_are_joined(scene):
    handles = [scene.ask(row).handle for row in (ONE, OTHER)]
    scene.work()

    ended = dict(as_completed(scene.store, handles, 1.0))

    assert [joined(ONE), joined(OTHER)] == [ended[handle].value for handle in handles]


def test_row_is_joined_once_after_the_record_was_lost(scene):
    seen = []
    scene.use(scene.store, replace(scene.spec, present=lambda row, found: seen.append(row) or found))
    asked = scene.ask(ONE)
    scene.store.invalidate(asked.key)
    scene.answered(OTHER)

    assert ANSWER == asked.result(1).value
    assert [ONE] == seen


def test_stale_answers_are_joined_while_the_call_is_made_anew(scene):
    scene.answered(ONE)
    scene.clock.advance(scene.spec.soft_ttl)

    admitted, attached = scene.ask(ONE), scene.ask(OTHER)

    assert (Admitted, Attached) == (type(admitted), type(attached))
    assert (joined(ONE), joined(OTHER)) == (admitted.stale.value, attached.stale.value)


@pytest.mark.parametrize(("give_up", "expected"), [("backoff", Backoff), ("quarantine", Negative)])
def test_stale_answer_is_joined_after_a_failure(scene, raising, give_up, expected):
    policy = replace(scene.spec.retry, max_attempts=1, on_give_up=give_up)
    scene.use(scene.store, replace(scene.spec, retry=policy))
    scene.answered(ONE)
    scene.clock.advance(scene.spec.soft_ttl)
    waiting = scene.ask(ONE)
    scene.work(raising(Transient("http_503")))

    refused = scene.ask(OTHER)

    assert expected is type(refused)
    assert (joined(OTHER), joined(OTHER)) == (refused.stale.value, refused.result(0).value)
    assert (joined(ONE), "stale") == (waiting.result(1).value, waiting.result(1).source)


def test_fallback_is_joined_to_the_row(scene):
    asked = scene.ask(ONE)
    scene.work(lambda: Answer(value={"rate": None}, source="default"))

    assert {**ONE, "rate": None} == asked.result(1).value


def test_inline_call_joins_what_it_made_and_what_was_kept(scene, call):
    assert joined(ONE) == call(ONE)
    assert joined(OTHER) == call(OTHER, never)
    assert b'j{"rate":5.25}' == scene.read(identify(scene.spec, ONE).key).value.data


def test_answer_of_this_process_is_joined_while_the_store_is_down(scene, call):
    scene.use(scene.store, replace(scene.spec, on_store_down="local"))
    call(ONE)
    scene.fail_on("admit")

    assert joined(OTHER) == call(OTHER, never)


def test_caller_without_a_row_gets_the_answer_as_it_is_kept(scene):
    asked = scene.answered(ONE)
    job = scene.sender.sent[0].job

    assert ANSWER == Handle(scene.store, job, lambda: pytest.fail("enqueued again")).result(1).value
    assert ANSWER == scene.caller.call(scene.spec, job, never, timeout=1.0).value
    assert asked.key == job.key


def test_body_sees_the_stale_answer_as_it_is_kept(scene):
    scene.answered(ONE)
    scene.clock.advance(scene.spec.soft_ttl)
    scene.ask(ONE)

    seen = []
    scene.work(lambda: seen.append(current_attempt().stale.value))

    assert [ANSWER] == seen


def test_row_that_its_caller_changes_afterwards_stays_as_it_was(scene):
    row = dict(ONE)
    asked = scene.ask(row)
    row["row"] = 9
    scene.work()

    assert joined(ONE) == asked.result(1).value


def test_failing_present_leaves_the_answer_and_names_its_place(scene):
    asked = scene.answered(ONE)
    scene.use(scene.store, replace(scene.spec, present=lambda row, _found: row["secret"]))

    hit = scene.ask(ONE)
    scene.clock.advance(scene.spec.soft_ttl)
    again = scene.ask(ONE)
    scene.work()

    assert isinstance(hit, Unreadable)
    assert "cannot be joined to the row: KeyError@test_join.py:" in hit.error.reason
    assert ("", None) == (hit.error.codec, again.stale)
    with pytest.raises(AnswerUnreadable, match="cannot be joined"):
        again.result(1)
    [(_, ended)] = as_completed(scene.store, [again.handle], 1.0)
    assert isinstance(ended, AnswerUnreadable)
    assert scene.read(asked.key).value.fresh
    assert 2 == len(scene.sender.sent)
