"""Reads a meeting with a language model: in one call, or part by part where it is too long for one.

    transcript ──> split ──> ask for each part ──> merge ──> ask for one summary ──> Answer

``ask`` is any callable with the signature of ``LanguageModel.ask``, so one that remembers its
answers makes each part a call of its own.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, TypeVar, cast

from pydantic import BaseModel, ValidationError

from askonce.errors import CallFailed, Permanent, Transient
from askonce.record import Answer, Source
from tasks.meetings.parts import Reading, merge_analyses, merge_extracts, split
from tasks.meetings.prompts import (
    ONE_SUMMARY,
    PROMPTS,
    MeetingAnalysis,
    MeetingExtract,
    MeetingFull,
    MeetingSummary,
)
from tasks.providers.failures import with_spending

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

M = TypeVar("M", bound=BaseModel)


class Ask(Protocol):
    """One question to a language model."""

    def __call__(self, *, instructions: str, text: str, schema: type[BaseModel]) -> Answer:
        """Return data of the given *schema*."""


def extract(payload: Mapping[str, object], ask: Ask, *, max_chars: int) -> Answer:
    """Return what was said and agreed, as the data of a ``MeetingExtract``.

    Transcripts of more than *max_chars* characters are asked part by part.

    Raises:
        CallFailed: there is no transcript, or the model did not answer. ``usage`` and ``cost_usd``
            among its data are what is known to have been spent.
    """
    asked = _Asked(ask)
    readings = _read(payload, asked, PROMPTS["extract"].instructions, MeetingExtract, max_chars)
    return asked.answer(_whole([reading.found for reading in readings], asked, max_chars))


def analyze(payload: Mapping[str, object], ask: Ask, *, max_chars: int) -> Answer:
    """Return how it was said, as the data of a ``MeetingAnalysis``; the rest is as in ``extract``."""
    asked = _Asked(ask)
    readings = _read(payload, asked, PROMPTS["analyze"].instructions, MeetingAnalysis, max_chars)
    return asked.answer(merge_analyses(readings))


def full(payload: Mapping[str, object], ask: Ask, *, max_chars: int) -> Answer:
    """Return both, as the data of a ``MeetingFull``, for the price of reading the transcript once."""
    asked = _Asked(ask)
    readings = _read(payload, asked, PROMPTS["full"].instructions, MeetingFull, max_chars)
    extracted = _whole([reading.found.extract for reading in readings], asked, max_chars)
    analysis = merge_analyses([Reading(reading.found.analysis, reading.weight) for reading in readings])
    return asked.answer(MeetingFull(extract=extracted, analysis=analysis))


class _Asked:
    """The questions of one job, with what they cost together."""

    def __init__(self, ask: Ask) -> None:
        self._ask = ask
        self._answers: list[Answer] = []

    def __call__(self, instructions: str, text: str, schema: type[M]) -> M:
        try:
            answer = self._ask(instructions=instructions, text=text, schema=schema)
        except CallFailed as failure:
            if not self._answers:
                raise
            # The parts before this one were paid, whatever became of it.
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
        )

    def _with_earlier(self, failure: CallFailed) -> CallFailed:
        paid = list(self._answers)
        if "usage" in failure.data:
            usage = cast("Mapping[str, int]", failure.data["usage"])
            cost = cast("float | None", failure.data.get("cost_usd"))
            paid.append(Answer(value=None, usage=usage, cost_usd=cost))
        return with_spending(failure, usage=_usage(paid), cost_usd=_cost(paid))


def _read(
    payload: Mapping[str, object], asked: _Asked, instructions: str, schema: type[M], max_chars: int
) -> list[Reading[M]]:
    parts = split(_transcript(payload), max_chars)
    # A part of nothing but empty lines would be paid and answered with an invention.
    return [Reading(asked(instructions, part, schema), len(part)) for part in parts if part.strip()]


def _transcript(payload: Mapping[str, object]) -> str:
    # Whoever submits is told sooner and better; here it must only not be paid, and not be tried again.
    transcript = payload.get("transcript")
    if not isinstance(transcript, str) or not transcript.strip():
        raise Permanent("no_transcript")
    return transcript


def _whole(parts: Sequence[MeetingExtract], asked: _Asked, max_chars: int) -> MeetingExtract:
    if len(parts) == 1:
        return parts[0]
    return merge_extracts(parts, _one_summary([part.summary for part in parts], asked, max_chars))


def _one_summary(summaries: list[str], asked: _Asked, max_chars: int) -> str:
    while len(summaries) > 1:
        groups = split("\n".join(summaries), max_chars)
        if len(groups) >= len(summaries):
            # Summaries that do not get fewer would go round forever; too long beats cut off.
            groups = ["\n".join(summaries)]
        summaries = [asked(ONE_SUMMARY.instructions, group, MeetingSummary).summary for group in groups]
    return summaries[0]


def _typed(schema: type[M], value: object) -> M | None:
    """Return the data as its type, or None instead of an error that would quote the data."""
    try:
        return schema.model_validate(value)
    except ValidationError:
        return None


def _weakest(answers: Sequence[Answer]) -> Source:
    """Return ``call`` unless a part is a fallback: then the whole is one too, and must not be kept."""
    sources = {answer.source for answer in answers}
    if "default" in sources:
        return "default"
    return "stale" if "stale" in sources else "call"


def _cost(answers: Sequence[Answer]) -> float | None:
    costs = [answer.cost_usd for answer in answers]
    return None if None in costs else sum(cost for cost in costs if cost is not None)


def _usage(answers: Sequence[Answer]) -> dict[str, int]:
    """Return the sum of each count that every answer has; a count that one lacks is unknown."""
    common = [name for name in answers[0].usage if all(name in answer.usage for answer in answers)]
    return {name: sum(answer.usage[name] for answer in answers) for name in common}
