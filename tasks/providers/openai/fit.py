"""Brings the model's text into the shape that was asked for, or names why it does not fit.

    text ──> without <think> and ``` ──> JSON ──> absent null fields ──> known fields only ──> data
                                          │                               │
                                          └─ malformed_answer             └─ answer_does_not_fit@path:kind

These wrappings are common and leave no doubt about the answer. Nothing else is repaired: a guess could be
kept as the answer. A reason has the schema's own names and places in lists, never a word of the answer.
"""

from __future__ import annotations

import re
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final, cast

from pydantic import ValidationError
from pydantic_core import from_json

from askonce.errors import CallFailed, Transient
from askonce.fields import is_blank

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator

    from pydantic import BaseModel
    from pydantic_core import ErrorDetails

Place = tuple[int | str, ...]

_THOUGHT: Final = ("<think>", "</think>")
#: One fence around everything: the text inside may have fences of its own.
_FENCED: Final = re.compile(r"```(?:json)?\s*(.*)```", re.DOTALL | re.IGNORECASE)
#: Characters of a path that a reason shows.
_PATH_SHOWN: Final = 120


def fit(schema: type[BaseModel], text: str) -> dict[str, object] | CallFailed:
    """Return the data of *schema* in *text*, with its fields only, or the failure."""
    text = _unwrapped(text)
    if is_blank(text):
        return _unusable("empty_answer")
    try:
        found = cast("object", from_json(text.encode(errors="surrogatepass")))
    except ValueError:
        return _unusable("malformed_answer")
    errors = _errors(schema, found)
    absent = {error["loc"] for error in errors if error["type"] == "missing"}
    if absent:
        _fill(found, absent)
        errors = _errors(schema, found)
    if errors:
        return _unusable(f"answer_does_not_fit@{_named(errors[0], absent, schema)}")
    return schema.model_validate(found, extra="ignore").model_dump(mode="json")


def _unusable(reason: str) -> CallFailed:
    return Transient(reason, maybe_billed=True)


def _unwrapped(text: str) -> str:
    """Return *text* without one block of thoughts before it and one fence around it."""
    begin, end = _THOUGHT
    text = text.strip()
    rest = text.partition(end)[2].strip()
    # Where a server's template writes the begin itself, nothing like an answer may stand before the end.
    if (text.startswith(begin) and end in text) or (_is_answer(rest) and not _is_answer(text)):
        text = rest
    fenced = _FENCED.fullmatch(text)
    return fenced[1] if fenced else text


def _is_answer(text: str) -> bool:
    return text.startswith(("{", "```"))


def _errors(schema: type[BaseModel], found: object) -> list[ErrorDetails]:
    """Return what is wrong with the answer: without its text, which an error would quote."""
    try:
        schema.model_validate(found, extra="ignore")
    except ValidationError as exc:
        return exc.errors(include_url=False, include_context=False, include_input=False)
    return []


def _fill(found: object, absent: Iterable[Place]) -> None:
    """Set each absent field to null: the schema then decides whether that is a value of the field."""
    for *steps, name in absent:
        at: Any = found
        # Beside a union's choices a place has names that the answer does not have.
        with suppress(LookupError, TypeError):
            for step in steps:
                at = at[step]
            at[name] = None


def _named(error: ErrorDetails, absent: Collection[Place], schema: type[BaseModel]) -> str:
    """Return where an error is and of which kind; a key that is not of the schema may be data."""
    known, place = set(_fields(schema.model_json_schema())), error["loc"]
    path = "".join(
        f"[{step}]" if isinstance(step, int) else f".{step if step in known else '*'}" for step in place
    )
    kind = "missing" if place in absent else error["type"]
    return f"{path.removeprefix('.')[:_PATH_SHOWN] or 'answer'}:{kind}"


def _fields(schema: object) -> Iterator[str]:
    """Yield the names of all fields of a JSON schema, at any depth."""
    if isinstance(schema, dict):
        properties = schema.get("properties")
        yield from properties if isinstance(properties, dict) else ()
        schema = list(schema.values())
    for part in schema if isinstance(schema, list) else ():
        yield from _fields(part)
