import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from askonce.errors import Transient
from tasks.meetings import body as meetings
from tasks.providers.openai.references import References
from tests.unit.kept_responses import (
    PENDING,
    USAGE,
    KeptResponses,
    ask,
    raising,
    shown,
    status,
)

# Several questions of one job: lines of 20 characters with their line ends, one part each.
MEETING = {"transcript": "Ann: we start now..\nBob: yes, we do so..\nAnn: then we end it.."}
READING = {"sentiment": {"label": "neutral", "score": 0.0}, "speakers": [], "risks": [], "evidence": []}


@pytest.fixture
def scene():
    return KeptResponses()


def analyze(scene):
    return meetings.analyze(MEETING, scene.attempt(), max_chars=22)


def spent(*numbers):
    return {name: number * sum(numbers) for name, number in USAGE.items()}


def test_parts_that_were_read_are_not_asked_again_and_are_counted_once(scene):
    scene.looks = [shown(said=READING), shown(said=READING), *[PENDING] * 100]
    with pytest.raises(Transient) as caught:
        analyze(scene)
    scene.looks = [shown(said=READING)] * 3

    answer = analyze(scene)

    assert len(scene.created) == 3
    assert caught.value.data["usage"] == spent(2)
    assert answer.usage == spent(1)
    assert caught.value.data["cost_usd"] == pytest.approx(2 * answer.cost_usd)


def test_parts_of_a_killed_attempt_are_counted_by_the_one_that_ends(scene):
    scene.looks = [shown(said=READING), shown(said=READING), raising(KeyboardInterrupt())]
    with pytest.raises(KeyboardInterrupt):
        analyze(scene)
    scene.looks = [shown(said=READING)] * 3

    answer = analyze(scene)

    assert (len(scene.created), answer.usage) == (3, spent(3))


def test_part_without_an_answer_alone_is_asked_again(scene):
    scene.looks = [shown(said=READING), shown("failed"), shown(said=READING)]
    with pytest.raises(Transient) as caught:
        analyze(scene)
    scene.looks = [shown(said=READING)] * 3

    answer = analyze(scene)

    assert caught.value.data["usage"] == spent(2)
    assert (len(scene.created), answer.usage) == (4, spent(2))


def test_parts_before_one_of_unknown_price_are_counted_by_the_attempt_that_ends(scene):
    scene.looks = [shown(said=READING), shown("failed", usage=None), shown(said=READING)]
    with pytest.raises(Transient) as caught:
        analyze(scene)
    scene.looks = [shown(said=READING)] * 3

    answer = analyze(scene)

    assert (caught.value.data["usage"], caught.value.data["cost_usd"]) == ({}, None)
    assert (len(scene.created), answer.usage) == (4, spent(3))


def test_same_question_twice_is_asked_and_counted_once(scene):
    asking = scene.attempt()

    first, second = ask(asking), ask(asking)

    assert len(scene.created) == 1
    assert (first.usage, second.usage, second.cost_usd) == (USAGE, spent(0), 0.0)
    assert first.value == second.value


def test_question_that_had_to_be_asked_again_is_counted_again(scene):
    asking = scene.attempt()
    ask(asking)
    scene.looks = [status(404)]

    assert (ask(asking).usage, len(scene.created)) == (USAGE, 2)


def test_question_too_many_for_the_record_is_asked_in_one_step(scene):
    asking = scene.attempt()
    while References(scene.kept).has_room():
        ask(asking, f"part {len(scene.created)}")
    kept, scene.creations = scene.kept, [shown()]

    answer = ask(asking, "one too many")

    assert (answer.usage, scene.kept, len(scene.kept) <= 4096) == (USAGE, kept, True)
    assert (scene.created[-1]["store"], scene.created[-1].get("background")) == (False, None)


@given(text=st.text() | st.recursive(st.none() | st.text() | st.integers(), st.lists).map(json.dumps))
def test_reference_of_somebody_else_names_no_response(text):
    assert str(References(text)) == ""


def test_reference_is_read_as_it_was_kept():
    references = References("")
    references.add("a", "resp_1")
    references.add("b", "resp_2")
    references.tell(["b", "c"])

    again = References(str(references))

    assert str(again) == str(references)
    assert [again.get(name).told for name in "ab"] == [False, True]
