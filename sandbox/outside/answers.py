"""Reads the answers that the stand-in model can be told to give: one JSON object a line.

    {"name": "429_retry_after_seconds",       every name once
     "form": "both",                          chat, responses or both
     "status": 429,
     "headers": {"Retry-After": "2"},         sent as they are; type and length of the body are added
     "body": {"error": {"message": "..."}},   a string is sent as it is; other JSON without white space
     "expect": "park",                        what askonce makes of it, see EXPECTATIONS
     "reason": "rate_limited"}                the word of a failure

Instead of "body" a line may have

    "text"     the text of an answer, which stands in the ordinary reply of the request's form
    "way"      a way to send that no honest service uses, see WAYS in ways.py; also beside "body"

In "body" and "text", @ANSWER@ is the ordinary answer to the request, and @DEEP@ nests 100,000 lists. In a
header, @DATE+30@ is the time in 30 seconds. A line may further have "retry_after", the seconds that askonce
is to understand, "task", where the text is for the schema of one task, and "service", who answers like this.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from email.utils import formatdate
from pathlib import Path

from sandbox.outside.ways import BOMB, WAYS

#: What askonce makes of an answer.
EXPECTATIONS: Mapping[str, str] = {
    "park": "nothing was paid: the call waits, and no attempt is counted",
    "attempt": "it may have been paid, or may be this row's own trouble: one of the attempts",
    "configuration": "wrong for every row, until somebody changes a setting or pays",
    "permanent": "never succeeds for this row",
    "answer": "it is used",
    "once_more": "it was paid and cannot be used: asked once more, then permanent",
}
_FORMS = ("chat", "responses", "both")
_DATE = re.compile(r"@DATE\+(\d+)@")
_DEPTH = 100_000
_NO_WAY = ""


class AnswersInvalid(ValueError):
    """A line of the file cannot be used; the text names it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """One line of the file."""

    name: str
    status: int
    expect: str
    form: str = "both"
    headers: Mapping[str, str] = field(default_factory=dict)
    body: object = None
    text: str | None = None
    way: str = _NO_WAY
    reason: str = ""
    retry_after: float | None = None
    task: str = ""
    service: str = ""

    def content(self, ordinary: str = "") -> bytes:
        """Return the bytes of the body; *ordinary* is the answer to the request."""
        text = self.body if isinstance(self.body, str) else _compact(self.body)
        quoted = json.dumps(ordinary, ensure_ascii=False)[1:-1]
        return _filled(text, quoted).encode()

    def headers_at(self, now: float) -> dict[str, str]:
        """Return the headers as they are sent at *now* (unix seconds)."""

        def date(found: re.Match[str]) -> str:
            return formatdate(now + int(found[1]), usegmt=True)

        return {name: _DATE.sub(date, value) for name, value in self.headers.items()}

    def said(self, ordinary: str) -> str:
        """Return the text, where the line has one; *ordinary* is the answer to the request."""
        return _filled(self.text or "", ordinary)


def read(path: Path) -> Mapping[str, Answer]:
    """Read the answers of a file by their names.

    Raises:
        AnswersInvalid: a line is no answer, or its name was used before.
    """
    answers: dict[str, Answer] = {}
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        try:
            answer = _answer(json.loads(line))
        except (TypeError, ValueError) as exc:
            raise AnswersInvalid(f"{path.name}:{number}: {exc}") from exc
        if answer.name in answers:
            raise AnswersInvalid(f"{path.name}:{number}: {answer.name}: this name was used before")
        answers[answer.name] = answer
    return answers


def _answer(line: dict[str, object]) -> Answer:
    known = {each.name for each in fields(Answer)}
    if unknown := line.keys() - known:
        raise ValueError(f"{', '.join(sorted(unknown))}: no such field; the fields are {', '.join(known)}")
    answer = Answer(**line)  # type: ignore[arg-type]  # its fields are checked below
    if answer.form not in _FORMS or answer.expect not in EXPECTATIONS:
        raise ValueError(f"{answer.name}: form is one of {_FORMS}, expect one of {tuple(EXPECTATIONS)}")
    if ("body" in line) == ("text" in line) and not answer.way:
        raise ValueError(f"{answer.name}: needs a body, a text or a way")
    if answer.way not in (_NO_WAY, BOMB, *WAYS):
        raise ValueError(f"{answer.name}: {answer.way}: no such way; the ways are {', '.join([BOMB, *WAYS])}")
    if (answer.expect == "answer") == bool(answer.reason):
        raise ValueError(f"{answer.name}: a failure has a reason, an answer has none")
    return answer


def _compact(body: object) -> str:
    return "" if body is None else json.dumps(body, ensure_ascii=False, separators=(",", ":"))


def _filled(text: str, ordinary: str) -> str:
    if "@DEEP@" in text:
        text = text.replace("@DEEP@", "[" * _DEPTH + "]" * _DEPTH)
    return text.replace("@ANSWER@", ordinary)
