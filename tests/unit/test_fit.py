"""Which texts of the model are an answer, and what is told of the others."""

from __future__ import annotations

import json
from typing import Annotated

import pytest
from pydantic import BaseModel, ConfigDict, Field

from askonce.errors import CallFailed
from tasks.meetings.prompts import MeetingAnalysis, MeetingExtract, MeetingFull, MeetingSummary
from tasks.providers.openai.fit import fit

SECRET = "tulip"


class Item(BaseModel):
    model_config = ConfigDict(extra="forbid")

    task: str
    owner: str | None


class Report(BaseModel):
    model_config = ConfigDict(extra="forbid")

    score: Annotated[float, Field(ge=-1, le=1)]
    items: list[Item]
    marks: dict[str, int]
    note: str | None


GOOD = {"score": 0.5, "items": [{"task": "a", "owner": None}], "marks": {"one": 1}, "note": "n"}
TEXT = json.dumps(GOOD)
WRAPPED = {
    "bare": TEXT,
    "spaces": f"\n  {TEXT}\n",
    "fence": f"```json\n{TEXT}\n```",
    "fence without a language": f"```\n{TEXT}\n```",
    "fence on one line": f"```json {TEXT}```",
    "thoughts": f"<think>\nLet me see: {{}}\n</think>\n\n{TEXT}",
    "thoughts without a begin": f"Let me see: {{}}\n</think>\n\n{TEXT}",
    "no thoughts": f"<think></think>{TEXT}",
    "thoughts and fence": f"<think>```json\n{{}}\n```</think>\n```json\n{TEXT}\n```\n",
}


@pytest.mark.parametrize("name", WRAPPED)
def test_answer_is_read_in_its_common_wrappings(name):
    assert fit(Report, WRAPPED[name]) == GOOD


def test_fence_inside_the_answer_is_a_part_of_it():
    quoted = {**GOOD, "note": "```json\n{}\n```"}

    assert fit(Report, f"```json\n{json.dumps(quoted)}\n```") == quoted


MALFORMED = {
    "words before": f"Here it is: {TEXT}",
    "words after": f"{TEXT} I hope this helps.",
    "two fences": f"```json\n{TEXT}\n```\n```json\n{TEXT}\n```",
    "fence that does not end": f"```json\n{TEXT}",
    "thoughts that do not end": f"<think>{TEXT}",
    "thoughts twice": f"<think>a</think><think>b</think>{TEXT}",
    "thoughts after": f"{TEXT}<think>a</think>",
    "two answers": f"{TEXT}\n{TEXT}",
    "cut": TEXT[:-4],
    "single quotes": TEXT.replace('"', "'"),
    "comma too many": f"{TEXT[:-1]},}}",
    "lone surrogate": '{"note": "\ud800"}',
    "deep nesting": "[" * 100_000,
    "number of 6,000 digits": "1" * 6_000,
}


@pytest.mark.parametrize("name", MALFORMED)
def test_text_that_is_no_json_is_malformed_and_nothing_is_guessed(name):
    assert reason(Report, MALFORMED[name]) == "malformed_answer"


@pytest.mark.parametrize(
    "text", ["", " \n\t", "\u200b\ufeff\u00a0", "```json\n\n```", "<think>so</think> ", "\x00"]
)
def test_text_that_says_nothing_is_an_empty_answer(text):
    assert reason(Report, text) == "empty_answer"


def test_fields_that_were_not_asked_for_are_dropped_at_any_depth():
    told = {**GOOD, "why": SECRET, "items": [{"task": "a", "owner": None, "due": SECRET}]}

    assert fit(Report, json.dumps(told)) == GOOD


def test_absent_field_that_may_be_null_is_null_at_any_depth():
    told = {"score": 0.5, "items": [{"task": "a"}, {"task": "b", "owner": "Ann"}], "marks": {}}

    found = fit(Report, json.dumps(told))

    assert found["note"] is None
    assert found["items"] == [{"task": "a", "owner": None}, {"task": "b", "owner": "Ann"}]


MISFITS = {
    "too large": ({"score": 59}, "score:less_than_equal"),
    "too small": ({"score": -1.5}, "score:greater_than_equal"),
    "not a number": ({"score": SECRET}, "score:float_parsing"),
    "text": ({"note": {SECRET: SECRET}}, "note:string_type"),
    "in a list": ({"items": [{"task": "a"}, {"task": 7, "owner": SECRET}]}, "items[1].task:string_type"),
    "absent": ({"items": [{"owner": SECRET}]}, "items[0].task:missing"),
    "null": ({"items": None}, "items:list_type"),
    "key of the answer's own": ({"marks": {SECRET: SECRET}}, "marks.*:int_parsing"),
}


@pytest.mark.parametrize("name", MISFITS)
def test_misfit_names_the_field_and_the_kind_never_its_text(name):
    change, told = MISFITS[name]

    assert reason(Report, json.dumps({**GOOD, **change})) == f"answer_does_not_fit@{told}"


@pytest.mark.parametrize(
    ("text", "kind"), [("[]", "model_type"), (f'"{SECRET}"', "model_type"), ("null", "model_type")]
)
def test_answer_that_is_no_object_does_not_fit_as_a_whole(text, kind):
    assert reason(Report, text) == f"answer_does_not_fit@answer:{kind}"


def test_long_path_is_cut():
    class Inner(BaseModel):
        deep: dict[str, dict[str, list[list[list[list[int]]]]]]

    told = {"deep": {SECRET * 50: {SECRET * 50: [[[["x"]]]]}}}

    assert reason(Inner, json.dumps(told)) == "answer_does_not_fit@deep.*.*[0][0][0][0]:int_parsing"


EXTRACT = {"key_points": [], "decisions": [], "action_items": [], "topics": [], "participants": []}
ANALYSIS = {"sentiment": {"label": "positive", "score": 59}, "speakers": [], "risks": [], "evidence": []}


@pytest.mark.parametrize("blank", ["", " ", "\u200b\u2060", "\n\t\u3000", "\u00ad"])
@pytest.mark.parametrize(
    ("schema", "told", "path"),
    [
        (MeetingSummary, lambda summary: {"summary": summary}, "summary"),
        (MeetingExtract, lambda summary: {**EXTRACT, "summary": summary}, "summary"),
        (
            MeetingFull,
            lambda summary: {
                "extract": {**EXTRACT, "summary": summary},
                "analysis": {**ANALYSIS, "sentiment": {"label": "mixed", "score": 0}},
            },
            "extract.summary",
        ),
    ],
)
def test_blank_summary_does_not_fit(schema, told, path, blank):
    assert reason(schema, json.dumps(told(blank))) == f"answer_does_not_fit@{path}:blank"
    assert isinstance(fit(schema, json.dumps(told(f"{blank}."))), dict)


def test_score_beyond_the_range_is_seen_as_the_score():
    assert (
        reason(MeetingAnalysis, json.dumps(ANALYSIS)) == "answer_does_not_fit@sentiment.score:less_than_equal"
    )


def reason(schema, text):
    found = fit(schema, text)
    assert isinstance(found, CallFailed)
    assert SECRET not in repr(found.data)
    assert found.maybe_billed
    return found.reason
