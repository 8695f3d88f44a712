from __future__ import annotations

from types import SimpleNamespace

import pytest

from askonce.answer import Answer
from askonce.errors import Permanent, Transient
from askonce.spend import Spend
from tasks.meetings import body as meetings
from tasks.meetings.parts import split
from tasks.meetings.prompts import MeetingAnalysis, MeetingExtract, MeetingFull, MeetingSummary
from tests.unit.meeting_reader import LONG, MEETING, Model, Reader, analyzed, extracted

NOTHING = Spend(calls=0, cost_usd=0.0)


def resources(model, max_chars):
    return SimpleNamespace(ask=lambda: model, max_input_chars=max_chars)


@pytest.fixture
def new_reader(scene):
    return lambda read, **how: Reader(scene, read, **how)


@pytest.mark.parametrize(
    ("read", "schema", "value"),
    [
        (meetings.extract, MeetingExtract, extracted("all")),
        (meetings.analyze, MeetingAnalysis, analyzed("positive", 0.1)),
        (meetings.full, MeetingFull, {"extract": extracted(), "analysis": analyzed()}),
    ],
)
def test_short_meeting_is_one_call_and_its_answer_is_passed_on(read, schema, value):
    model = Model(value)

    answer = read(MEETING, resources(model, max_chars=len(LONG)))

    assert [(text, asked) for _, text, asked in model.asked] == [(LONG, schema)]
    assert answer == Answer(value=value, cost_usd=0.5, usage={"input_tokens": 10, "output_tokens": 3})


@pytest.mark.parametrize("transcript", [None, 3, " \n", "\u200b\n\u2060 \u200d\ufeff", "\u00ad\u202e\x00"])
def test_meeting_without_transcript_is_final_and_never_paid(transcript):
    model = Model()

    with pytest.raises(Permanent) as caught:
        meetings.extract({"transcript": transcript}, resources(model, max_chars=10))

    assert caught.value.reason == "no_transcript"
    assert model.asked == []


def test_long_meeting_is_sent_in_parts_and_summarised_once(new_reader):
    model = Model(extracted("first"), extracted("second"), {"summary": "one"})

    answer = new_reader(meetings.extract).whole(model)

    first, second, summary = model.asked
    assert first[1] + second[1] == LONG
    assert summary[1:] == ("first\nsecond", MeetingSummary)
    assert answer.value["summary"] == "one"
    assert (answer.cost_usd, answer.usage) == (1.5, {"input_tokens": 30, "output_tokens": 9})
    assert answer.paid == NOTHING, "its parts are jobs that book what they paid"


def test_long_analysis_needs_no_summary(new_reader):
    model = Model(analyzed("positive", 0.5), analyzed("positive", 0.7))

    answer = new_reader(meetings.analyze).whole(model)

    assert answer.value["sentiment"] == {"label": "positive", "score": 0.6}
    assert answer.cost_usd == 1.0


def test_long_full_merges_both_readings(new_reader):
    model = Model(
        {"extract": extracted("a", topics=["x"]), "analysis": analyzed("negative", -1.0)},
        {"extract": extracted("b", topics=["y"]), "analysis": analyzed("negative", -0.5)},
        {"summary": "ab"},
    )

    answer = new_reader(meetings.full).whole(model)

    assert answer.value["extract"] == extracted("ab", topics=["x", "y"])
    assert answer.value["analysis"] == analyzed("negative", -0.75)


def test_lists_are_joined_in_order_and_repetitions_count_once(new_reader):
    item = {"task": "call", "owner": None, "due_date": None}
    model = Model(
        extracted(participants=["Ann", "Bob"], topics=["budget"], action_items=[item]),
        extracted(
            participants=["Cid", " ann "],
            topics=["Budget", "team"],
            action_items=[item, {**item, "owner": "Bob"}],
        ),
        {"summary": "one"},
    )

    value = new_reader(meetings.extract).whole(model).value

    assert value["participants"] == ["Ann", "Bob", "Cid"]
    assert value["topics"] == ["budget", "team"]
    assert value["action_items"] == [item, {**item, "owner": "Bob"}]


def test_cost_that_is_unknown_in_one_part_is_unknown_in_the_sum(new_reader):
    unknown = Answer(value=extracted(), cost_usd=None, usage={"input_tokens": 1})

    answer = new_reader(meetings.extract).whole(Model(extracted(), unknown, {"summary": "one"}))

    assert answer.cost_usd is None
    assert answer.usage == {"input_tokens": 21}


def test_failure_of_a_short_meeting_is_passed_on_untouched():
    failure = Transient("timeout", maybe_billed=True)

    with pytest.raises(Transient) as caught:
        meetings.extract(MEETING, resources(Model(failure), max_chars=40))

    assert caught.value is failure


def test_answer_of_another_shape_is_malformed_and_never_quoted():
    with pytest.raises(Transient) as caught:
        meetings.extract(MEETING, resources(Model({"summary": "tulip"}), max_chars=100))

    assert caught.value.reason == "malformed_answer"
    assert caught.value.__context__ is None
    assert "tulip" not in str(caught.value)


@pytest.mark.parametrize("blank", ["\n", "\u200b"])
def test_part_that_shows_nothing_is_not_paid(new_reader, blank):
    model = Model(analyzed("positive", 0.5), analyzed("positive", 0.7))
    payload = {**MEETING, "transcript": "Ann: hi.\n" + blank * 30 + "\nBob: hi."}

    new_reader(meetings.analyze, max_chars=10).whole(model, payload)

    assert [text.strip("\n\u200b") for text in model.texts] == ["Ann: hi.", "Bob: hi."]


def test_only_part_that_shows_something_is_the_meetings_own_call(new_reader):
    reader, model = new_reader(meetings.analyze, max_chars=10), Model(analyzed())

    answer = reader.whole(model, {**MEETING, "transcript": "Ann: hi.\n" + "\u2060" * 30})

    assert (len(model.asked), answer.paid) == (1, None)


def test_long_summaries_are_summarised_in_rounds(new_reader):
    lines = "".join(f"Ann: line {number}.\n" for number in range(8))
    parts = split(lines, 14)
    model = Model(
        *(extracted(f"sum {number}") for number in range(len(parts))),
        *({"summary": f"r{number}"} for number in range(4)),
        {"summary": "r"},
        {"summary": "end"},
        {"summary": "spare"},
    )

    value = new_reader(meetings.extract, max_chars=14).whole(model, {**MEETING, "transcript": lines}).value

    rounds = [text for _, text, schema in model.asked if schema is MeetingSummary]
    assert all(len(text) <= 14 for text in rounds)
    assert value["summary"] == "r"


def test_summaries_that_do_not_shrink_are_sent_together_once(new_reader):
    model = Model(extracted("x" * 30), extracted("y" * 30), {"summary": "end"})

    value = new_reader(meetings.extract).whole(model).value

    assert model.texts[2] == "x" * 30 + "\n" + "y" * 30
    assert value["summary"] == "end"
