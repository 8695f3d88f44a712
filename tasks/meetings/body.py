"""Reads a meeting with a language model: in one call, or part by part where it is too long for one.

transcript ──> split ──> ask for each part ──> merge ──> ask for one summary ──> Answer
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from askonce.errors import Permanent
from tasks.meetings.parts import Reading, merge_analyses, merge_extracts
from tasks.meetings.prompts import MeetingAnalysis, MeetingExtract, MeetingFull
from tasks.meetings.questions import Questions

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from askonce.answer import Answer
    from tasks.resources import Resources


def extract(payload: Mapping[str, object], resources: Resources) -> Answer:
    """Return what was said and agreed, as the data of a ``MeetingExtract``; the body of ``meetings.extract``.

    A transcript longer than ``max_input_chars`` takes one question for each part.

    Raises:
        CallFailed: there is no transcript, the model did not answer, or a part is not done yet.
    """
    questions = Questions(resources)
    readings = questions.read(_transcript(payload), "extract", MeetingExtract)
    return questions.answer(_whole([reading.found for reading in readings], questions))


def analyze(payload: Mapping[str, object], resources: Resources) -> Answer:
    """Return how it was said, as the data of a ``MeetingAnalysis``; raises as ``extract`` does."""
    questions = Questions(resources)
    return questions.answer(merge_analyses(questions.read(_transcript(payload), "analyze", MeetingAnalysis)))


def full(payload: Mapping[str, object], resources: Resources) -> Answer:
    """Return both, as the data of a ``MeetingFull``, at the price of one reading of the transcript."""
    questions = Questions(resources)
    readings = questions.read(_transcript(payload), "full", MeetingFull)
    extracted = _whole([reading.found.extract for reading in readings], questions)
    analysis = merge_analyses([Reading(reading.found.analysis, reading.weight) for reading in readings])
    return questions.answer(MeetingFull(extract=extracted, analysis=analysis))


def _transcript(payload: Mapping[str, object]) -> str:
    # The producer refuses such a payload earlier, with a better message. A message from elsewhere ends here:
    # it must not be paid for, and not be tried again.
    transcript = payload.get("transcript")
    if not isinstance(transcript, str):
        raise Permanent("no_transcript")
    return transcript


def _whole(parts: Sequence[MeetingExtract], questions: Questions) -> MeetingExtract:
    if len(parts) == 1:
        return parts[0]
    return merge_extracts(parts, questions.one_summary([part.summary for part in parts]))
