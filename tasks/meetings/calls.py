"""What a meeting asks of the model: the questions that ``questions.py`` sends for the same payload."""

from __future__ import annotations

import json
from functools import cache
from typing import TYPE_CHECKING, cast

from askonce.fields import is_blank
from tasks.calls import ANSWERS, Calls
from tasks.meetings.parts import split
from tasks.meetings.prompts import QuestionKind, prompt_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tasks.meetings.prompts import Operation


def meeting_calls(
    operation: Operation, payload: Mapping[str, object], *, max_chars: int, attempts: int, part_attempts: int
) -> Calls:
    """Return what ``meetings.*`` asks about *payload*: one question, or one for each part of a long text."""
    transcript = str(payload.get("transcript") or "")
    texts = [text for text in split(transcript, max_chars) if not is_blank(text)]
    own, fixed = len(texts) < 2, _fixed(operation)  # noqa: PLR2004  # two parts are jobs of their own
    return Calls(
        questions=tuple(fixed + len(text.encode(errors="replace")) for text in texts),
        attempts=attempts if own else part_attempts,
        answers=ANSWERS,
        joining=0 if own or operation == "analyze" else _fixed("summary"),
        own=own,
    )


def part_calls(payload: Mapping[str, object], *, attempts: int) -> Calls:
    """Return what ``meetings.part`` asks about *payload*."""
    kind, text = cast("QuestionKind", payload["operation"]), str(payload["text"])
    size = _fixed(kind) + len(text.encode(errors="replace"))
    return Calls(questions=(size,), attempts=attempts, answers=ANSWERS)


@cache
def _fixed(kind: QuestionKind) -> int:
    """Return the bytes of a question beside its text; in either form of answer the schema is sent once."""
    prompt = prompt_of(kind)
    return len(prompt.instructions.encode()) + len(json.dumps(prompt.schema.model_json_schema()).encode())
