"""Reads the body of a language model's reply: its text or its failure, its usage, its price.

Both forms of the API are read as plain JSON, leniently. A compatible service may leave out any field, and a
missing field must lose neither the answer nor the usage.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING, Final, Literal, cast

from askonce.errors import CallFailed, Permanent, Transient

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

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


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """The end of a response: a text to validate, or a failure."""

    text: str = ""
    failure: CallFailed | None = None
    usage: Mapping[str, int]
    #: The list price in US dollars; None is unknown, never 0.
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


def read(content: bytes, flavour: Flavour) -> Reply:
    """Return the content of the body, whatever its shape; never raises."""
    body = _decoded(content)
    usage = _usage(body)
    cost = _price(body, usage)
    found = _TEXT_READERS[flavour](body)
    if isinstance(found, CallFailed):
        return Reply(failure=found, usage=usage, cost_usd=cost)
    return Reply(text=found, usage=usage, cost_usd=cost)


def _decoded(content: bytes) -> object:
    """Return the body, or None for a body that is not JSON."""
    try:
        return cast("object", json.loads(content))
    except (ValueError, RecursionError):
        return None


def _usage(body: object) -> dict[str, int]:
    usage = _at(body, "usage")
    counts = ((name, _at(usage, *path)) for name, paths in _COUNTS.items() for path in paths)
    return {name: count for name, count in counts if type(count) is int}


def _price(body: object, usage: Mapping[str, int]) -> float | None:
    """Return the list price in US dollars by the model that answered, None where it is unknown."""
    from genai_prices import Usage, calc_price

    tier = _at(body, "service_tier")
    try:
        spent = Usage(
            input_tokens=usage["input_tokens"],
            output_tokens=usage["output_tokens"],
            cache_read_tokens=usage.get("cached_tokens"),
            cache_write_tokens=usage.get("cache_write_tokens"),
        )
        price = calc_price(
            spent,
            str(_at(body, "model")),
            provider_id="openai",
            price_context={"service_tier": tier} if isinstance(tier, str) else None,
        )
    except (LookupError, ValueError):
        # An unknown model, a missing count, or counts that contradict each other must not lose a paid answer.
        return None
    return float(price.total_price)


def _responses_text(body: object) -> str | CallFailed:
    # A compatible service may leave the status out.
    if _at(body, "status") not in ("completed", None):
        return _ending(_at(body, "incomplete_details", "reason") or _at(body, "error", "code"))
    messages = [item for item in _items(_at(body, "output")) if _at(item, "type") == "message"]
    # A message of another phase is reasoning.
    final = [item for item in messages if _at(item, "phase") in ("final_answer", None)]
    contents = [content for item in final for content in _items(_at(item, "content"))]
    if any(_at(content, "type") == "refusal" for content in contents):
        return _ending("refusal")
    texts = [_at(content, "text") for content in contents if _at(content, "type") == "output_text"]
    return "".join(text for text in texts if isinstance(text, str))


def _chat_text(body: object) -> str | CallFailed:
    choice = next(iter(_items(_at(body, "choices"))), None)
    reason = _at(choice, "finish_reason")
    if reason in ("length", "content_filter"):
        return _ending(reason)
    if _at(choice, "message", "refusal"):
        return _ending("refusal")
    text = _at(choice, "message", "content")
    return text if isinstance(text, str) else ""


_TEXT_READERS: Final[Mapping[Flavour, Callable[[object], str | CallFailed]]] = MappingProxyType(
    {"responses": _responses_text, "chat": _chat_text}
)


def _ending(why: object) -> CallFailed:
    match why:
        case "refusal" | "content_filter" | "invalid_prompt" | "bio_policy" | "misalignment_policy_violation":
            return Permanent("refused")
        case "max_output_tokens" | "length":
            return Transient("truncated", maybe_billed=True)
        case _:
            return Transient("unfinished", maybe_billed=True)


def _at(body: object, *path: str) -> object:
    for step in path:
        body = body.get(step) if isinstance(body, dict) else None
    return body


def _items(value: object) -> list[object]:
    return value if isinstance(value, list) else []
