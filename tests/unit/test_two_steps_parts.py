import json
from types import SimpleNamespace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from askonce.errors import Transient
from askonce.spend import spend_of_failure
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
    return meetings.analyze(MEETING, SimpleNamespace(ask=scene.attempt, max_input_chars=22))


def spent(*numbers):
    return {name: number * sum(numbers) for name, number in USAGE.items()}


def test_parts_that_were_read_are_not_sent_again(scene):
    scene.looks = [shown(said=READING), shown(said=READING), *[PENDING] * 100]
    with pytest.raises(Transient) as caught:
        analyze(scene)
    scene.looks = [shown(said=READING)] * 3

    answer = analyze(scene)

    assert len(scene.created) == 3
    assert caught.value.data["usage"] == spent(2)
    assert caught.value.data["calls"] == 2
    assert (answer.paid.usage, answer.paid.calls) == (spent(1), 1)
    assert caught.value.data["cost_usd"] == pytest.approx(2 * answer.paid.cost_usd)
    assert answer.usage == spent(3), "what it cost to make"


def test_parts_of_a_killed_attempt_are_counted_by_the_next(scene):
    scene.looks = [shown(said=READING), shown(said=READING), raising(KeyboardInterrupt())]
    with pytest.raises(KeyboardInterrupt):
        analyze(scene)
    scene.looks = [shown(said=READING)] * 3

    answer = analyze(scene)

    assert (len(scene.created), answer.usage) == (3, spent(3))


def test_only_the_part_without_an_answer_is_sent_again(scene):
    scene.looks = [shown(said=READING), shown("failed"), shown(said=READING)]
    with pytest.raises(Transient) as caught:
        analyze(scene)
    scene.looks = [shown(said=READING)] * 3

    answer = analyze(scene)

    assert caught.value.data["usage"] == spent(2)
    assert (len(scene.created), answer.usage) == (4, spent(3))
    assert (answer.paid.usage, answer.paid.calls) == (spent(2), 2)


def test_parts_before_an_unknown_price_are_counted_at_the_end(scene):
    scene.looks = [shown(said=READING), shown("failed", usage=None), shown(said=READING)]
    with pytest.raises(Transient) as caught:
        analyze(scene)
    scene.looks = [shown(said=READING)] * 3

    answer = analyze(scene)

    assert (caught.value.data["usage"], caught.value.data["cost_usd"]) == ({}, None)
    assert (len(scene.created), answer.usage, answer.paid.calls) == (4, spent(3), 3)
    assert spend_of_failure(caught.value).spend.calls == 1, "the earlier parts are reported later"


def test_same_prompt_twice_is_sent_and_counted_once(scene):
    asking = scene.attempt()

    first, second = ask(asking), ask(asking)

    assert len(scene.created) == 1
    assert (first.usage, second.usage, second.cost_usd) == (USAGE, spent(0), 0.0)
    assert first.value == second.value


def test_prompt_that_is_sent_again_is_counted_again(scene):
    asking = scene.attempt()
    ask(asking)
    scene.looks = [status(404)]

    assert (ask(asking).usage, len(scene.created)) == (USAGE, 2)


def test_prompt_beyond_the_records_room_takes_one_step(scene):
    asking = scene.attempt()
    while References(scene.kept).has_room():
        ask(asking, f"part {len(scene.created)}")
    kept, scene.creations = scene.kept, [shown()]

    answer = ask(asking, "one too many")

    assert (answer.usage, scene.kept, len(scene.kept) <= 4096) == (USAGE, kept, True)
    assert (scene.created[-1]["store"], scene.created[-1].get("background")) == (False, None)


@given(text=st.text() | st.recursive(st.none() | st.text() | st.integers(), st.lists).map(json.dumps))
def test_unknown_reference_names_no_response(text):
    assert str(References(text)) == ""


def test_reference_is_read_as_it_was_kept():
    references = References("")
    references.add("a", "resp_1")
    references.add("b", "resp_2")
    references.mark_reported(["b", "c"])

    again = References(str(references))

    assert str(again) == str(references)
    assert [again.get(name).reported for name in "ab"] == [False, True]
