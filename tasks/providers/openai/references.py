"""Keeps the ids of one job's responses as a short text, for the next attempt.

    {"<digest of the question>": ["<id of its response>", <reported: 0, 1>], ...}

A response is *reported* when an attempt has reported its price. The next attempt reads it for nothing, and
must not count it a second time.
"""

from __future__ import annotations

import json
import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, cast

if TYPE_CHECKING:
    from collections.abc import Iterable

#: Characters: every reply of the store carries the reference.
_LONGEST: Final = 4096
_LONGEST_ID: Final = 128
#: An id becomes part of a URL's path.
_ID: Final = re.compile(rf"[A-Za-z0-9][A-Za-z0-9_.:-]{{0,{_LONGEST_ID - 1}}}")
#: Characters of one more response: its id, its digest and the signs between them.
_ROOM: Final = _LONGEST_ID + 40


@dataclass(frozen=True, slots=True)
class Kept:
    """One response that may be retrieved again."""

    response: str
    reported: bool = False


class References:
    """The responses of one job so far, by a digest of the question (at most 16 characters)."""

    def __init__(self, text: str) -> None:
        """Read the text of an earlier attempt; a text of another form names no response."""
        self._kept = _read(text)

    def __str__(self) -> str:
        """Return the text to keep; empty for no response."""
        if not self._kept:
            return ""
        named = {question: [kept.response, int(kept.reported)] for question, kept in self._kept.items()}
        return json.dumps(named, separators=(",", ":"))

    def get(self, question: str) -> Kept | None:
        """Return the response to a question."""
        return self._kept.get(question)

    def has_room(self) -> bool:
        """Return whether one more response can be kept."""
        return len(str(self)) + _ROOM <= _LONGEST

    def add(self, question: str, response: str) -> None:
        """Keep a response whose price is not reported yet."""
        self._kept[question] = Kept(response)

    def drop(self, question: str) -> None:
        """Forget a response that no attempt can use any more."""
        self._kept.pop(question, None)

    def mark_reported(self, questions: Iterable[str]) -> None:
        """Mark the kept responses to *questions* as reported."""
        for question in self._kept.keys() & set(questions):
            self._kept[question] = replace(self._kept[question], reported=True)


def is_usable(response: object) -> bool:
    """Return whether an id can be kept and retrieved."""
    return isinstance(response, str) and _ID.fullmatch(response) is not None


def _read(text: str) -> dict[str, Kept]:
    try:
        found = cast("object", json.loads(text))
    except (ValueError, RecursionError):
        return {}
    if not isinstance(found, dict):
        return {}
    return {str(question): kept for question, entry in found.items() if (kept := _kept(entry)) is not None}


def _kept(entry: object) -> Kept | None:
    match entry:
        case [str(response), reported] if is_usable(response):
            return Kept(response, reported=bool(reported))
    return None
