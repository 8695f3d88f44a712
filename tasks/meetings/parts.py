"""Splits a long transcript into parts, and merges the readings of the parts into one.

The parts joined are the transcript: nothing is cut off. How the readings are merged:

- Lists are joined in order; items that differ only in case and spacing count once.
- Scores are averaged, weighted by the length of their part. Every label follows from the scores (see
  ``_mood``), so that label and score never contradict each other.
- Summaries are not merged here: one readable text takes another call.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Generic, TypeVar

from pydantic import BaseModel

from tasks.meetings.prompts import (
    SIDE_FROM,
    Label,
    MeetingAnalysis,
    MeetingExtract,
    Sentiment,
    SpeakerSentiment,
)

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

T = TypeVar("T")
M_co = TypeVar("M_co", bound=BaseModel, covariant=True)

#: Where to cut, best first: after a line, after a sentence, after a space.
_CUTS: Final = (
    re.compile(r"\n"),
    re.compile(r"""[.!?…]["'”’)\]]*\s|[。！？]"""),  # noqa: RUF001  # CJK transcripts end sentences so
    re.compile(r"\s"),
)
#: From this share of the text on, a side counts in the whole.
_HEARD_FROM: Final = 0.25
#: From this share of the text on, mixed parts make the whole mixed.
_MIXED_FROM: Final = 0.5


@dataclass(frozen=True, slots=True)
class Reading(Generic[M_co]):
    """The reading of one part, and the number of characters of that part."""

    found: M_co
    weight: int


def split(text: str, max_chars: int) -> list[str]:
    """Return the text in parts of at most *max_chars* characters; joined they are the text.

    Only a line that is longer than that is broken. Parts do not overlap: what is said in an overlap would
    count twice.
    """
    if max_chars < 1:
        raise ValueError("max_chars must be at least 1")
    parts, start = [], 0
    while len(text) - start > max_chars:
        window = text[start : start + max_chars]
        cut = _last_cut(window)
        parts.append(window[:cut])
        start += cut
    return [*parts, text[start:]]


def merge_extracts(parts: Sequence[MeetingExtract], summary: str) -> MeetingExtract:
    """Return the extract of the whole, with the given *summary*."""
    return MeetingExtract(
        summary=summary,
        key_points=_distinct(point for part in parts for point in part.key_points),
        decisions=_distinct(decision for part in parts for decision in part.decisions),
        action_items=_distinct(item for part in parts for item in part.action_items),
        topics=_distinct(topic for part in parts for topic in part.topics),
        participants=_distinct(person for part in parts for person in part.participants),
    )


def merge_analyses(readings: Sequence[Reading[MeetingAnalysis]]) -> MeetingAnalysis:
    """Return the analysis of the whole; the analysis of a single part is returned unchanged."""
    parts = [reading.found for reading in readings]
    if len(parts) == 1:
        return parts[0]
    return MeetingAnalysis(
        sentiment=_mood([Reading(reading.found.sentiment, reading.weight) for reading in readings]),
        speakers=_speakers(readings),
        risks=_distinct(risk for part in parts for risk in part.risks),
        evidence=_distinct(evidence for part in parts for evidence in part.evidence),
    )


def _last_cut(window: str) -> int:
    for pattern in _CUTS:
        ends = [match.end() for match in pattern.finditer(window)]
        if ends:
            return ends[-1]
    return len(window)


def _distinct(items: Iterable[T]) -> list[T]:
    seen: dict[str, T] = {}
    for item in items:
        seen.setdefault(_folded(item), item)
    return list(seen.values())


def _folded(item: object) -> str:
    text = item.model_dump_json() if isinstance(item, BaseModel) else str(item)
    return " ".join(text.split()).casefold()


def _speakers(readings: Sequence[Reading[MeetingAnalysis]]) -> list[SpeakerSentiment]:
    heard: dict[str, list[Reading[SpeakerSentiment]]] = {}
    for reading in readings:
        for speaker in reading.found.speakers:
            heard.setdefault(_folded(speaker.speaker), []).append(Reading(speaker, reading.weight))
    moods = ((turns[0].found.speaker, _mood(turns)) for turns in heard.values())
    return [SpeakerSentiment(speaker=name, label=mood.label, score=mood.score) for name, mood in moods]


def _mood(readings: Sequence[Reading[Sentiment | SpeakerSentiment]]) -> Sentiment:
    """Return the average score and the label that follows from the scores.

    The label is ``mixed`` if both sides hold at least a quarter of the text, or if at least half of the text
    is in mixed parts. Else it follows from the average: ``positive`` from 0.2, ``negative`` from -0.2 down,
    ``neutral`` between them.
    """
    total = sum(reading.weight for reading in readings)
    score = round(sum(reading.found.score * reading.weight for reading in readings) / total, 3)
    positive = sum(r.weight for r in readings if r.found.score >= SIDE_FROM) / total
    negative = sum(r.weight for r in readings if r.found.score <= -SIDE_FROM) / total
    mixed = sum(r.weight for r in readings if r.found.label == "mixed") / total
    label: Label = "positive" if score >= SIDE_FROM else "negative" if score <= -SIDE_FROM else "neutral"
    if min(positive, negative) >= _HEARD_FROM or mixed >= _MIXED_FROM:
        label = "mixed"
    return Sentiment(label=label, score=score)
