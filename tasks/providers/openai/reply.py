"""Reads the body of a language model's reply: its text or its failure, its usage, its price.

Both forms of the API are read as plain JSON, leniently. A compatible service may leave out any field, and a
missing field must lose neither the answer nor the usage. A count that is odd (negative, a fraction, a text,
too large for JSON) is unknown, and the price with it; the answer is read all the same.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, Literal, TypeGuard, cast

from askonce.errors import CallFailed, Permanent, Transient

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tasks.prices import Prices

Flavour = Literal["responses", "chat"]

#: Our name for a count -> its place in the two forms of the API.
_COUNTS: Final[Mapping[str, tuple[tuple[str, ...], ...]]] = MappingProxyType(
    {
        "input_tokens": (("input_tokens",), ("prompt_tokens",)),
        "output_tokens": (("output_tokens",), ("completion_tokens",)),
        "cached_tokens": (
            ("input_tokens_details", "cached_tokens"),
            ("prompt_tokens_details", "cached_tokens"),
        ),
        "cache_write_tokens": (
            ("input_tokens_details", "cache_write_tokens"),
            ("prompt_tokens_details", "cache_write_tokens"),
        ),
        "reasoning_tokens": (
            ("output_tokens_details", "reasoning_tokens"),
            ("completion_tokens_details", "reasoning_tokens"),
        ),
    }
)


#: Why an answer ended, in the words of services: it was withheld, cut, or given up.
_REFUSED: Final = frozenset(
    {
        *("refusal", "content_filter", "invalid_prompt", "bio_policy", "misalignment_policy_violation"),
        *("safety", "recitation", "prohibited_content"),
    }
)
_CUT: Final = frozenset({"max_output_tokens", "max_tokens", "length", "model_length"})
_UNFINISHED: Final = frozenset({"error", "abort", "insufficient_system_resource"})
#: Whole numbers from here on are not exact in JSON.
_TOO_MANY: Final = 2**53
#: Digits; any number that is kept has fewer.
_LONGEST_INT: Final = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """The end of a response: a text to validate, or a failure."""

    text: str = ""
    failure: CallFailed | None = None
    usage: Mapping[str, int]
    #: The price in US dollars; None is unknown, never 0.
    cost_usd: float | None


@dataclass(frozen=True, slots=True)
class Standing:
    """The response that a body is about, and whether the service still works on it."""

    #: Its id as the service sent it; empty where that is no text.
    response: str
    pending: bool


def standing(content: bytes) -> Standing:
    """Return the state of a response; a body about no response counts as pending."""
    body = _decoded(content)
    response = _at(body, "id")
    pending = not isinstance(body, dict) or _at(body, "status") in ("queued", "in_progress")
    return Standing(response if isinstance(response, str) else "", pending)


def read(content: bytes, flavour: Flavour, prices: Prices) -> Reply:
    """Return the content of the body, whatever its shape; never raises.

    A router in front of several services may report their errors with status 200: such a body is unfinished.
    """
    body = _decoded(content)
    usage, is_whole = _usage(body)
    known = prices.of(usage, model=_at(body, "model"), tier=_at(body, "service_tier")) if is_whole else None
    no_object = Transient("malformed_answer", maybe_billed=True)
    found = _TEXT_READERS[flavour](body) if isinstance(body, dict) else no_object
    if isinstance(found, CallFailed):
        return Reply(failure=found, usage=usage, cost_usd=known)
    return Reply(text=found, usage=usage, cost_usd=known)


def _decoded(content: bytes) -> object:
    """Return the body, or None for a body that is not JSON."""
    try:
        return cast("object", json.loads(content, parse_int=_to_int))
    except (ValueError, RecursionError):
        return None


def _to_int(digits: str) -> int:
    # Python refuses to read thousands of digits, and the answer beside them would be lost. -1 is odd too.
    return int(digits) if len(digits) <= _LONGEST_INT else -1


def is_page(content: bytes) -> bool:
    """Return whether a body is a page of a web server, which is no reply of this API."""
    return content.lstrip()[:1] == b"<"


def is_refusal(content: bytes) -> bool:
    """Return whether a body has an error only: no part of an answer, and nothing that was paid."""
    if b'"error"' not in content:
        return False
    body = _decoded(content)
    has_answer = _items(_at(body, "choices")) or _items(_at(body, "output"))
    return bool(_at(body, "error")) and not has_answer and not _at(body, "usage")


def _usage(body: object) -> tuple[dict[str, int], bool]:
    """Return the counts that can be kept, and whether none of the others is odd."""
    usage = _at(body, "usage")
    given = ((name, _at(usage, *path)) for name, paths in _COUNTS.items() for path in paths)
    counts = [(name, count) for name, count in given if count is not None]
    kept = {name: count for name, count in counts if _is_count(count)}
    _add_thinking(kept, _at(usage, "total_tokens"))
    return kept, len(kept) == len({name for name, _ in counts})


def _is_count(count: object) -> TypeGuard[int]:
    return type(count) is int and 0 <= count < _TOO_MANY


def _add_thinking(counts: dict[str, int], whole: object) -> None:
    """Count as output what the *whole* has beside input and output: Gemini and xAI leave the thinking out."""
    given, written = counts.get("input_tokens"), counts.get("output_tokens")
    if _is_count(whole) and given is not None and written is not None and whole > given + written:
        counts["output_tokens"] = whole - given


def _responses_text(body: object) -> str | CallFailed:
    # A compatible service may leave the status out.
    if _at(body, "status") not in ("completed", None):
        return _ending(_at(body, "incomplete_details", "reason") or _at(body, "error", "code"))
    output = _items(_at(body, "output"))
    if not output and _at(body, "error"):
        return _ending(_at(body, "error", "code"))
    messages = [item for item in output if _at(item, "type") == "message"]
    # A message of another phase is reasoning.
    final = [item for item in messages if _at(item, "phase") in ("final_answer", None)]
    contents = [content for item in final for content in _items(_at(item, "content"))]
    if any(_at(content, "type") == "refusal" for content in contents):
        return _ending("refusal")
    return _joined(contents, ("output_text",))


def _chat_text(body: object) -> str | CallFailed:
    choice = next(iter(_items(_at(body, "choices"))), None)
    if choice is None and _at(body, "error"):
        return _ending(None)
    reason = _at(choice, "finish_reason")
    # A router passes on the words of the service behind it: SAFETY, content_filter: PROHIBITED_CONTENT.
    word = reason.casefold().partition(":")[0] if isinstance(reason, str) else ""
    if word in _REFUSED or word in _CUT or word in _UNFINISHED:
        return _ending(word)
    content = _at(choice, "message", "content")
    if _at(choice, "message", "refusal") or any(_at(part, "type") == "refusal" for part in _items(content)):
        return _ending("refusal")
    return content if isinstance(content, str) else _joined(content, ("text", None))


_TEXT_READERS: Final[Mapping[Flavour, Callable[[object], str | CallFailed]]] = MappingProxyType(
    {"responses": _responses_text, "chat": _chat_text}
)


def _joined(parts: object, types: tuple[str | None, ...]) -> str:
    """Return the texts of the parts of these types; others are reasoning, audio or images."""
    texts = [_at(part, "text") for part in _items(parts) if _at(part, "type") in types]
    return "".join(text for text in texts if isinstance(text, str))


def _ending(why: object) -> CallFailed:
    why = why if isinstance(why, str) else ""
    if why in _REFUSED:
        return Permanent("refused")
    return Transient("truncated" if why in _CUT else "unfinished", maybe_billed=True)


def _at(body: object, *path: str) -> object:
    for step in path:
        body = body.get(step) if isinstance(body, dict) else None
    return body


def _items(value: object) -> list[object]:
    return value if isinstance(value, list) else []
