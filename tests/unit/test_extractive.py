import json
from pathlib import Path
from typing import Literal

import pytest
from pydantic import BaseModel, Field

from sandbox.outside import extractive

SAMPLES = Path(__file__).parents[2] / "sandbox" / "samples"
MEETINGS = [json.loads(line) for line in (SAMPLES / "meetings.jsonl").read_text("utf-8").splitlines()]


class ActionItem(BaseModel):
    task: str
    owner: str | None
    due_date: str | None


class MeetingExtract(BaseModel):
    summary: str
    key_points: list[str]
    decisions: list[str]
    action_items: list[ActionItem]
    topics: list[str]
    participants: list[str]


class Sentiment(BaseModel):
    label: Literal["positive", "neutral", "negative", "mixed"]
    score: float = Field(ge=-1, le=1)


class Speaker(Sentiment):
    speaker: str


class Risk(BaseModel):
    description: str
    severity: Literal["low", "medium", "high"]


class Evidence(BaseModel):
    quote: str
    speaker: str | None
    supports: str


class MeetingAnalysis(BaseModel):
    sentiment: Sentiment
    speakers: list[Speaker]
    risks: list[Risk]
    evidence: list[Evidence]


class MeetingFull(BaseModel):
    extract: MeetingExtract
    analysis: MeetingAnalysis


def ask(model, transcript):
    return model.model_validate(extractive.answer(transcript, model.model_json_schema()), strict=True)


def transcript_of(meeting_id):
    return next(m["transcript"] for m in MEETINGS if m["meeting_id"] == meeting_id)


@pytest.mark.parametrize("meeting", MEETINGS, ids=lambda m: m["meeting_id"])
def test_every_sample_meeting_has_something_to_tell(meeting):
    extract = ask(MeetingFull, meeting["transcript"]).extract

    assert extract.summary
    assert extract.decisions
    assert any(item.owner and item.due_date for item in extract.action_items)
    assert extract.topics
    assert len(extract.participants) >= 3


@pytest.mark.parametrize("meeting", MEETINGS, ids=lambda m: m["meeting_id"])
def test_every_quote_is_verbatim(meeting):
    full = ask(MeetingFull, meeting["transcript"])

    quotes = [e.quote for e in full.analysis.evidence] + [r.description for r in full.analysis.risks]
    quotes += full.extract.key_points + full.extract.decisions
    quotes += [text for i in full.extract.action_items for text in (i.task, i.due_date) if text]
    assert [quote for quote in quotes if quote not in meeting["transcript"]] == []


def test_full_answer_is_the_two_single_answers_together():
    transcript = MEETINGS[0]["transcript"]

    full = ask(MeetingFull, transcript)

    assert full.extract == ask(MeetingExtract, transcript)
    assert full.analysis == ask(MeetingAnalysis, transcript)


def test_portuguese_decision_action_and_risk_are_found():
    transcript = (
        "Ana Lima: Decidimos trocar o fornecedor de embalagens.\n"
        "João Reis: Vou enviar a proposta até sexta-feira.\n"
        "Ana Lima: João, você pode revisar o contrato até 2026-05-04?\n"
        "João Reis: O risco é grave: podemos perder o cliente."
    )

    full = ask(MeetingFull, transcript)

    assert full.extract.decisions == ["Decidimos trocar o fornecedor de embalagens."]
    found = [(item.owner, item.due_date) for item in full.extract.action_items]
    assert found == [("João Reis", "sexta-feira"), ("João Reis", "2026-05-04")]
    assert [risk.severity for risk in full.analysis.risks] == ["high"]


def test_english_decision_action_and_risk_are_found():
    transcript = (
        "Ann Moss: We decided to change the packaging supplier.\n"
        "Joe Park: I will send the proposal by Friday.\n"
        "Ann Moss: Joe, can you review the contract by May 4?\n"
        "Joe Park: There is a small risk with the old stock."
    )

    full = ask(MeetingFull, transcript)

    assert full.extract.decisions == ["We decided to change the packaging supplier."]
    found = [(item.owner, item.due_date) for item in full.extract.action_items]
    assert found == [("Joe Park", "Friday"), ("Joe Park", "May 4")]
    assert [risk.severity for risk in full.analysis.risks] == ["low"]


def test_full_date_wins_over_a_day_in_the_same_sentence():
    items = ask(MeetingExtract, "Ann: I will start tomorrow and deliver it by 2026-05-04.").action_items

    assert [item.due_date for item in items] == ["2026-05-04"]


def test_question_and_denial_are_no_decision():
    transcript = "Ann: Have we decided on the supplier yet?\nJoe: Legal has not approved the supplier."

    assert ask(MeetingExtract, transcript).decisions == []


@pytest.mark.parametrize(
    ("meeting_id", "label"),
    [
        ("mtg-2026-002", "positive"),
        ("mtg-2026-003", "negative"),
        ("mtg-2026-005", "mixed"),
        ("mtg-2026-008", "positive"),
        ("mtg-2026-009", "negative"),
        ("mtg-2026-010", "neutral"),
    ],
)
def test_mood_of_a_sample_meeting_is_read_right(meeting_id, label):
    assert ask(MeetingAnalysis, transcript_of(meeting_id)).sentiment.label == label


@pytest.mark.parametrize("meeting", MEETINGS, ids=lambda m: m["meeting_id"])
def test_label_never_contradicts_the_score(meeting):
    analysis = ask(MeetingAnalysis, meeting["transcript"])

    for mood in (analysis.sentiment, *analysis.speakers):
        side = "positive" if mood.score >= 0.2 else "negative" if mood.score <= -0.2 else "neutral"
        assert mood.label in {side, "mixed"}


def test_negation_turns_a_mood_word_around():
    good = ask(MeetingAnalysis, "Ann: The result is great and the plan is excellent.").sentiment
    bad = ask(MeetingAnalysis, "Ann: The result is not great and the plan is not excellent.").sentiment

    assert (good.label, bad.label) == ("positive", "negative")


def test_headings_around_a_transcript_are_no_speakers():
    prompt = "Meeting: M-1\nDate: 2026-03-02\nTranscript:\nAnn: Hello there.\nJoe: Hello Ann."

    assert ask(MeetingExtract, prompt).participants == ["Ann", "Joe"]


def test_without_a_schema_the_answer_is_plain_text():
    said = extractive.answer("Ann: The new warehouse opens in April.", None)

    assert said == "The new warehouse opens in April."


@pytest.mark.parametrize("prompt", ["", "no speaker here", "\n\n", "Ann: "])
def test_text_that_is_no_transcript_still_gets_a_valid_answer(prompt):
    assert ask(MeetingFull, prompt).extract.participants == []


class Node(BaseModel):
    name: str = Field(min_length=3, max_length=5)
    child: "Node | None"
    size: int = Field(ge=10)
    share: float = Field(le=-0.5)
    kind: Literal["leaf", "branch"]
    tags: list[str] = Field(min_length=2)
    ready: bool


def test_unknown_schema_gets_the_least_that_is_valid():
    node = ask(Node, MEETINGS[0]["transcript"])

    assert node.child is None
    assert (node.size, node.share, node.kind, node.ready) == (10, -0.5, "leaf", False)
    assert len(node.tags) == 2


def test_fact_that_does_not_fit_its_property_is_left_out():
    schema = {"type": "object", "properties": {"summary": {"type": "integer"}, "topics": {"type": "string"}}}

    assert extractive.answer(MEETINGS[0]["transcript"], schema) == {"summary": 0, "topics": ""}
