"""Reads what a service says about its refusal, in the forms that real services use.

    {"error": {"message": ..., "type": ..., "param": ..., "code": ...}}     OpenAI and most others
    [{"error": {...}}]                                                      Gemini
    {"error": "..."}                                                        Ollama, Hugging Face
    {"object": "error", "message": ..., "type": ..., "code": ...}           Mistral, older vLLM
    {"detail": "..."}, {"detail": [{"loc": [...], "msg": ...}]}             FastAPI
    any other text                                                          a gateway's page

The words are only compared. A service may repeat the payload in them, so they are never shown or kept.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

#: Characters that are compared.
_COMPARED: Final = 4096
#: Bytes of an answer that are read as JSON: a longer one is no error object.
_READ: Final = 65_536
#: Fields of an error object, or of one in it, whose text is about the error.
_ABOUT: Final = ("message", "code", "type", "status", "reason", "raw", "msg")
#: Fields that hold an object, or a list of objects, with more about the error.
_INNER: Final = ("details", "metadata", "innererror", "detail", "message")
#: Objects in objects that are read.
_DEPTH: Final = 3
#: Groq's whole text in place of an answer that was cut; otherwise the field has the answer itself.
CUT: Final = "max completion tokens reached before generating a valid document"


@dataclass(frozen=True, slots=True, kw_only=True)
class Said:
    """What an answer says, in small letters."""

    #: The error's codes and types, and the status where a service writes that as its code.
    codes: frozenset[str] = frozenset()
    #: The parameter that is refused.
    param: str = ""
    #: The first part of all text about the error.
    words: str = ""
    #: Whether the answer has an error object, as an API's own answers do.
    is_error: bool = False


def said_in(content: bytes) -> Said:
    """Return what the body of a refusal says."""
    body = _json(content)
    error = _error_in(body)
    if error is None:
        text = body if isinstance(body, str) else content[:_COMPARED].decode(errors="replace")
        return Said(words=text[:_COMPARED].casefold())
    return Said(
        codes=frozenset(_codes(error)),
        param=_param(error)[:_COMPARED].casefold(),
        words=" ".join(_texts(error))[:_COMPARED].casefold(),
        is_error=isinstance(body, list) or (isinstance(body, dict) and not _is_bare_detail(body)),
    )


def _json(content: bytes) -> object:
    if len(content) > _READ:
        return None
    try:
        return json.loads(content)
    except (ValueError, RecursionError):
        return None


def _error_in(body: object) -> dict[str, object] | None:
    if isinstance(body, list):
        body = body[0] if body else None
    if not isinstance(body, dict):
        return None
    error = body.get("error")
    if isinstance(error, dict):
        return error
    # A text in place of the object; the fields beside it say more.
    return {**body, "message": error} if isinstance(error, str) else body


def _is_bare_detail(body: dict[str, object]) -> bool:
    return isinstance(body.get("detail"), str) and "error" not in body


def _codes(error: dict[str, object]) -> Iterator[str]:
    for each in _objects(error):
        for name in ("code", "type"):
            value = each.get(name)
            if isinstance(value, str | int):
                yield str(value)[:_COMPARED].casefold()


def _param(error: dict[str, object]) -> str:
    named = error.get("param")
    if isinstance(named, str):
        return named
    places = [each.get("loc") for each in _objects(error)]
    return " ".join(".".join(map(str, place)) for place in places if isinstance(place, list))


def _texts(error: dict[str, object]) -> Iterator[str]:
    for each in _objects(error):
        for name in _ABOUT:
            value = each.get(name)
            if isinstance(value, str):
                yield value[:_COMPARED]
    detail, failed = error.get("detail"), error.get("failed_generation")
    if isinstance(detail, str):
        yield detail[:_COMPARED]
    if isinstance(failed, str) and failed.strip().casefold() == CUT:
        yield CUT


def _objects(error: dict[str, object], depth: int = _DEPTH) -> Iterator[dict[str, object]]:
    yield error
    for name in _INNER if depth > 1 else ():
        inner = error.get(name)
        for each in inner if isinstance(inner, list) else [inner]:
            if isinstance(each, dict):
                yield from _objects(each, depth - 1)
