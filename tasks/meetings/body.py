"""Reads a meeting with a language model: in one call, or part by part where it is too long for one.

transcript ──> split ──> ask for each part ──> merge ──> ask for one summary ──> Answer
"""

from __future__ import annotations

from typing import TYPE_CHECKING, TypeVar

from pydantic import BaseModel, ValidationError

from askonce.answer import Answer, Source
from askonce.errors import CallFailed, Permanent, Transient
from askonce.spend import Spend, check, spend_of_failure
from tasks.meetings.parts import Reading, merge_analyses, merge_extracts, split
from tasks.meetings.prompts import (
    ONE_SUMMARY,
    PROMPTS,
    MeetingAnalysis,
    MeetingExtract,
    MeetingFull,
    MeetingSummary,
    Prompt,
)
from tasks.providers.failures import with_spending

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tasks.resources import Ask, Resources

M = TypeVar("M", bound=BaseModel)


def extract(payload: Mapping[str, object], resources: Resources) -> Answer:
    """Return what was said and agreed, as the data of a ``MeetingExtract``; the body of ``meetings.extract``.

    A transcript longer than ``max_input_chars`` takes one question for each part.

    Raises:
        CallFailed: there is no transcript, or the model did not answer. ``usage`` and ``cost_usd``
            in its data are what is known to be spent.
    """
    questions = _Questions(resources)
    readings = questions.read(payload, PROMPTS["extract"], MeetingExtract)
    return questions.answer(_whole([reading.found for reading in readings], questions))


def analyze(payload: Mapping[str, object], resources: Resources) -> Answer:
    """Return how it was said, as the data of a ``MeetingAnalysis``; raises as ``extract`` does."""
    questions = _Questions(resources)
    return questions.answer(merge_analyses(questions.read(payload, PROMPTS["analyze"], MeetingAnalysis)))


def full(payload: Mapping[str, object], resources: Resources) -> Answer:
    """Return both, as the data of a ``MeetingFull``, at the price of one reading of the transcript."""
    questions = _Questions(resources)
    readings = questions.read(payload, PROMPTS["full"], MeetingFull)
    extracted = _whole([reading.found.extract for reading in readings], questions)
    analysis = merge_analyses([Reading(reading.found.analysis, reading.weight) for reading in readings])
    return questions.answer(MeetingFull(extract=extracted, analysis=analysis))


class _Questions:
    """The questions of one job, and what they cost together."""

    def __init__(self, resources: Resources) -> None:
        self.max_chars = resources.max_input_chars
        self._ask: Ask = resources.ask()
        self._answers: list[Answer] = []

    def read(self, payload: Mapping[str, object], prompt: Prompt, schema: type[M]) -> list[Reading[M]]:
        parts = split(_transcript(payload), self.max_chars)
        # The model would invent an answer for a part of empty lines, and charge for it.
        return [
            Reading(self.ask(prompt.instructions, part, schema), len(part)) for part in parts if part.strip()
        ]

    def ask(self, instructions: str, text: str, schema: type[M]) -> M:
        try:
            answer = self._ask(instructions=instructions, text=text, schema=schema)
        except CallFailed as failure:
            if not self._answers:
                raise
            # The earlier parts were paid, whatever happened to this one.
            raise self._with_earlier(failure) from failure
        self._answers.append(answer)
        found = _typed(schema, answer.value)
        if found is None:
            raise self._with_earlier(Transient("malformed_answer"))
        return found

    def answer(self, value: BaseModel) -> Answer:
        return Answer(
            value=value.model_dump(mode="json"),
            source=_weakest(self._answers),
            cost_usd=_cost(self._answers),
            usage=_usage(self._answers),
            paid=_paid(self._answers),
        )

    def _with_earlier(self, failure: CallFailed) -> CallFailed:
        own = spend_of_failure(failure).spend
        if failure.data.get("reported_later"):
            return failure  # the next attempt reads the earlier responses again, and reports them
        # A call without a reply has no usage: that of the others is still known.
        earlier = [answer.paid or _spend_of(answer) for answer in self._answers]
        paid = _sum([*earlier, own] if own.calls else earlier)
        calls = {"calls": paid.calls, "in_doubt": own.in_doubt}
        return with_spending(failure, usage=paid.usage, cost_usd=paid.cost_usd, **calls)


def _transcript(payload: Mapping[str, object]) -> str:
    # The producer refuses such a payload earlier, with a better message. A message from elsewhere ends here:
    # it must not be paid for, and not be tried again.
    transcript = payload.get("transcript")
    if not isinstance(transcript, str) or not transcript.strip():
        raise Permanent("no_transcript")
    return transcript


def _whole(parts: Sequence[MeetingExtract], questions: _Questions) -> MeetingExtract:
    if len(parts) == 1:
        return parts[0]
    return merge_extracts(parts, _one_summary([part.summary for part in parts], questions))


def _one_summary(summaries: list[str], questions: _Questions) -> str:
    while len(summaries) > 1:
        groups = split("\n".join(summaries), questions.max_chars)
        if len(groups) >= len(summaries):
            # The number of summaries does not fall, so the loop would not end. Too long is better than cut.
            groups = ["\n".join(summaries)]
        summaries = [
            questions.ask(ONE_SUMMARY.instructions, group, MeetingSummary).summary for group in groups
        ]
    return summaries[0]


def _typed(schema: type[M], value: object) -> M | None:
    """Return the data as its type, or None: an error would quote the data."""
    try:
        return schema.model_validate(value)
    except ValidationError:
        return None


def _weakest(answers: Sequence[Answer]) -> Source:
    """Return ``call``, or the fallback of the weakest part: the record must not keep that as fresh."""
    sources = {answer.source for answer in answers}
    if "default" in sources:
        return "default"
    return "stale" if "stale" in sources else "call"


def _cost(answers: Sequence[Answer]) -> float | None:
    return _sum([_spend_of(answer) for answer in answers]).cost_usd


def _usage(answers: Sequence[Answer]) -> Mapping[str, int]:
    return _sum([_spend_of(answer) for answer in answers]).usage


def _paid(answers: Sequence[Answer]) -> Spend:
    return _sum([answer.paid or _spend_of(answer) for answer in answers])


def _spend_of(answer: Answer) -> Spend:
    return check(answer.usage, answer.cost_usd).spend


def _sum(spends: Sequence[Spend]) -> Spend:
    """Return the sum of each count that all of them have; a count that one of them lacks is unknown."""
    spends = [spend for spend in spends if spend.calls]
    if not spends:
        return Spend(calls=0, cost_usd=0.0)
    costs = [spend.cost_usd for spend in spends]
    common = [name for name in spends[0].usage if all(name in spend.usage for spend in spends)]
    return Spend(
        usage={name: sum(spend.usage[name] for spend in spends) for name in common},
        cost_usd=None if None in costs else sum(cost for cost in costs if cost is not None),
        calls=sum(spend.calls for spend in spends),
    )
