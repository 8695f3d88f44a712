from __future__ import annotations

from types import SimpleNamespace

import pytest

from askonce.answer import Answer
from askonce.errors import Configuration, Permanent, Transient
from askonce.spend import Spend, spend_of_failure
from tasks.meetings import body as meetings
from tasks.meetings.parts import split
from tasks.meetings.prompts import MeetingAnalysis, MeetingExtract, MeetingFull, MeetingSummary
from tasks.providers.failures import with_spending

# Two lines of 20 characters with their line ends: one part each at 20 characters, and one at 40.
LONG = "Ann: we start now..\nBob: yes, we do so.."
MEETING = {"transcript": LONG}


def extracted(summary: str = "s", **lists) -> dict:
    empty = {"key_points": [], "decisions": [], "action_items": [], "topics": [], "participants": []}
    return {"summary": summary, **empty, **lists}


def analyzed(label: str = "neutral", score: float = 0.0, **lists) -> dict:
    return {
        "sentiment": {"label": label, "score": score},
        "speakers": [],
        "risks": [],
        "evidence": [],
        **lists,
    }


class Model:
    """Gives the prepared answers in order, and remembers what it was asked."""

    def __init__(self, *replies: object, cost: float | None = 0.5):
        self.replies = list(replies)
        self.cost = cost
        self.asked: list[tuple[str, str, type]] = []

    def __call__(self, *, instructions, text, schema) -> Answer:
        self.asked.append((instructions, text, schema))
        reply = self.replies.pop(0)
        if isinstance(reply, Exception):
            raise reply
        if isinstance(reply, Answer):
            return reply
        usage = {"input_tokens": 10, "output_tokens": 3}
        return Answer(value=reply, cost_usd=self.cost, usage=usage)


def resources(model, max_chars):
    return SimpleNamespace(ask=lambda: model, max_input_chars=max_chars)


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
    cost = {"cost_usd": 0.5, "usage": {"input_tokens": 10, "output_tokens": 3}}
    assert answer == Answer(value=value, **cost, paid=Spend(**cost))


@pytest.mark.parametrize("payload", [{}, {"transcript": None}, {"transcript": 3}, {"transcript": " \n"}])
def test_meeting_without_transcript_is_final_and_never_paid(payload):
    model = Model()

    with pytest.raises(Permanent) as caught:
        meetings.extract(payload, resources(model, max_chars=10))

    assert caught.value.reason == "no_transcript"
    assert model.asked == []


def test_long_meeting_is_sent_in_parts_and_summarised_once():
    model = Model(extracted("first"), extracted("second"), {"summary": "one"})

    answer = meetings.extract(MEETING, resources(model, max_chars=20))

    first, second, summary = model.asked
    assert first[1] + second[1] == LONG
    assert summary[1:] == ("first\nsecond", MeetingSummary)
    assert answer.value["summary"] == "one"
    assert (answer.cost_usd, answer.usage) == (1.5, {"input_tokens": 30, "output_tokens": 9})
    assert answer.paid == Spend(cost_usd=1.5, usage=answer.usage, calls=3)


def test_long_analysis_needs_no_summary():
    model = Model(analyzed("positive", 0.5), analyzed("positive", 0.7))

    answer = meetings.analyze(MEETING, resources(model, max_chars=20))

    assert answer.value["sentiment"] == {"label": "positive", "score": 0.6}
    assert answer.cost_usd == 1.0


def test_long_full_merges_both_readings():
    model = Model(
        {"extract": extracted("a", topics=["x"]), "analysis": analyzed("negative", -1.0)},
        {"extract": extracted("b", topics=["y"]), "analysis": analyzed("negative", -0.5)},
        {"summary": "ab"},
    )

    answer = meetings.full(MEETING, resources(model, max_chars=20))

    assert answer.value["extract"] == extracted("ab", topics=["x", "y"])
    assert answer.value["analysis"] == analyzed("negative", -0.75)


def test_lists_are_joined_in_order_and_repetitions_count_once():
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

    value = meetings.extract(MEETING, resources(model, max_chars=20)).value

    assert value["participants"] == ["Ann", "Bob", "Cid"]
    assert value["topics"] == ["budget", "team"]
    assert value["action_items"] == [item, {**item, "owner": "Bob"}]


def test_cost_that_is_unknown_in_one_part_is_unknown_in_the_sum():
    unknown = Answer(value=extracted(), cost_usd=None, usage={"input_tokens": 1})
    model = Model(extracted(), unknown, {"summary": "one"})

    answer = meetings.extract(MEETING, resources(model, max_chars=20))

    assert answer.cost_usd is None
    assert answer.usage == {"input_tokens": 21}


@pytest.mark.parametrize(
    ("sources", "whole"),
    [
        (["cache", "call"], "call"),
        (["stale", "call"], "stale"),
        (["stale", "default"], "default"),
    ],
)
def test_whole_is_a_fallback_if_one_part_is(sources, whole):
    model = Model(*(Answer(value=analyzed(), source=source) for source in sources))

    assert meetings.analyze(MEETING, resources(model, max_chars=20)).source == whole


@pytest.mark.parametrize(
    ("failure", "kind"),
    [
        (Transient("http_503", retry_after=9.0), Transient),
        (Permanent("refused"), Permanent),
        (Configuration("insufficient_quota"), Configuration),
    ],
)
def test_failure_of_a_later_part_reports_the_earlier_cost(failure, kind):
    with pytest.raises(kind) as caught:
        meetings.extract(MEETING, resources(Model(extracted(), failure), max_chars=20))

    assert caught.value.reason == failure.reason
    assert caught.value.data["usage"] == {"input_tokens": 10, "output_tokens": 3}
    assert caught.value.data["cost_usd"] == 0.5
    assert caught.value.data["calls"] == 1
    assert caught.value.data.get("retry_after") == failure.data.get("retry_after")


def test_paid_failure_is_added_to_the_cost_of_earlier_parts():
    spent = {"input_tokens": 5, "output_tokens": 1}
    failure = with_spending(Transient("truncated"), usage=spent, cost_usd=0.25)

    with pytest.raises(Transient) as caught:
        meetings.extract(MEETING, resources(Model(extracted(), failure), max_chars=20))

    assert caught.value.data["usage"] == {"input_tokens": 15, "output_tokens": 4}
    assert caught.value.data["cost_usd"] == 0.75
    assert (caught.value.data["calls"], caught.value.data["in_doubt"]) == (2, 0)


def test_later_part_without_a_reply_leaves_one_call_in_doubt():
    failure = Transient("timeout", maybe_billed=True)

    with pytest.raises(Transient) as caught:
        meetings.extract(MEETING, resources(Model(extracted(), failure), max_chars=20))

    spend = spend_of_failure(caught.value).spend
    assert (spend.calls, spend.in_doubt, spend.cost_usd) == (1, 1, 0.5)


def test_failure_of_the_first_part_is_passed_on_untouched():
    failure = Transient("timeout", maybe_billed=True)

    with pytest.raises(Transient) as caught:
        meetings.extract(MEETING, resources(Model(failure), max_chars=20))

    assert caught.value is failure


def test_answer_of_another_shape_is_malformed_and_never_quoted():
    with pytest.raises(Transient) as caught:
        meetings.extract(MEETING, resources(Model({"summary": "tulip"}), max_chars=100))

    assert caught.value.reason == "malformed_answer"
    assert caught.value.__context__ is None
    assert "tulip" not in str(caught.value)


def test_part_of_empty_lines_is_not_paid():
    model = Model(analyzed("positive", 0.5), analyzed("positive", 0.7))

    meetings.analyze({"transcript": "Ann: hi.\n" + "\n" * 30 + "Bob: hi."}, resources(model, max_chars=10))

    assert [text.strip() for _, text, _ in model.asked] == ["Ann: hi.", "Bob: hi."]


def test_long_summaries_are_summarised_in_rounds():
    lines = "".join(f"Ann: line {number}.\n" for number in range(8))
    parts = split(lines, 14)
    model = Model(
        *(extracted(f"sum {number}") for number in range(len(parts))),
        *({"summary": f"r{number}"} for number in range(4)),
        {"summary": "r"},
        {"summary": "end"},
        {"summary": "spare"},
    )

    value = meetings.extract({"transcript": lines}, resources(model, max_chars=14)).value

    rounds = [text for _, text, schema in model.asked if schema is MeetingSummary]
    assert all(len(text) <= 14 for text in rounds)
    assert value["summary"] == "r"


def test_summaries_that_do_not_shrink_are_sent_together_once():
    model = Model(extracted("x" * 30), extracted("y" * 30), {"summary": "end"})

    value = meetings.extract(MEETING, resources(model, max_chars=20)).value

    assert model.asked[2][1] == "x" * 30 + "\n" + "y" * 30
    assert value["summary"] == "end"
