"""Reads requests and builds replies in the two OpenAI formats: Responses and Chat Completions."""

import json
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import NamedTuple

from sandbox.outside.ledger import content_of

#: No price list has this model, so the sandbox sets a price: whole dollars for a million tokens.
MODEL = "sandbox-extractive-1"
PRICE: Mapping[str, float] = {"input": 1, "output": 4}
RESPONSES_PATH = "/v1/responses"
CHAT_PATH = "/v1/chat/completions"

_CHARACTERS_PER_TOKEN = 4  # OpenAI's own rule of thumb
_REQUESTS_A_MINUTE = 30_000
_TOKENS_A_MINUTE = 150_000_000
_LIMITS = ("max_output_tokens", "max_completion_tokens", "max_tokens")
_INSTRUCTING_ROLES = {"system", "developer"}

Body = dict[str, object]


class BadRequest(Exception):
    """The service cannot read the request."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """The content of a request, the same for both formats."""

    model: str
    instructions: str
    text: str
    schema_name: str
    schema: Mapping[str, object] | None
    #: The answer is made after the reply; the client retrieves it later.
    background: bool = False
    #: The most output tokens, reasoning included; None for no limit.
    limit: int | None = None

    @property
    def content(self) -> str:
        """The digest in the ledger, equal for both formats."""
        return content_of(self.model, self.instructions, self.text, self.schema_name)

    @property
    def tokens(self) -> int:
        """The input tokens; the schema counts too."""
        schema = "" if self.schema is None else json.dumps(self.schema)
        return tokens_of(self.instructions + self.text + schema)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """One HTTP reply, and its tokens.

    `content` are the bytes to send instead of the body; nothing is then added to the headers but the length.
    `way` is the name of a way to send that no honest service uses, see `ways.py`.
    """

    status: int
    body: Mapping[str, object] = field(default_factory=dict)
    headers: Mapping[str, str] = field(default_factory=dict)
    input_tokens: int = 0
    output_tokens: int = 0
    content: bytes | None = None
    way: str = ""


class Said(NamedTuple):
    """What the model says within the limit of its question."""

    text: str
    #: Output tokens, and how many of them are reasoning.
    tokens: int
    reasoning: int
    is_cut: bool


def tokens_of(text: str) -> int:
    """Estimate the number of tokens, rounded up."""
    return -(-len(text) // _CHARACTERS_PER_TOKEN)


def question_in(path: str, raw: bytes) -> Question:
    """Read a request.

    Raises:
        BadRequest: It is not a JSON object, has no model or input, requests streaming, or requests a
            background response with `store` false.
    """
    try:
        body = json.loads(raw)
    except ValueError as exc:
        raise BadRequest("We could not parse the JSON body of your request.") from exc
    if not isinstance(body, dict):
        raise BadRequest("The body must be a JSON object.")
    given = body.get("input" if path == RESPONSES_PATH else "messages")
    if not isinstance(body.get("model"), str) or not given:
        raise BadRequest("Missing required parameter: model, and input or messages.")
    if body.get("stream"):
        raise BadRequest("This service does not stream.")
    if body.get("background") and body.get("store") is False:
        raise BadRequest("Background responses must be stored.")
    return _responses_question(body) if path == RESPONSES_PATH else _chat_question(body)


def answered(
    path: str, question: Question, text: str, at: int, *, model: str = MODEL, reasoning: int = 0
) -> Reply:
    """Build the answer `text` to `question`, made at `at` (unix seconds) by `model`.

    Before the text the model reasons for so many tokens. What passes the question's limit is cut off.
    """
    shape: Callable[[Question, Said, int], Body] = _response if path == RESPONSES_PATH else _completion
    said = _within(question.limit, text, reasoning)
    return Reply(
        status=HTTPStatus.OK,
        body={**shape(question, said, at), "model": model},
        input_tokens=question.tokens,
        output_tokens=said.tokens,
    )


def waiting(question: Question, at: int) -> Body:
    """Build the reply to a background `question` that was accepted at `at` (unix seconds)."""
    body = {
        **_response(question, Said("", 0, 0, is_cut=False), at),
        "status": "queued",
        "completed_at": None,
        "output": [],
    }
    return {**body, "usage": None, "background": True, "store": True}


def failed(accepted: Body) -> Body:
    """Build the failed end of a response that was accepted."""
    error = {"code": "server_error", "message": "The server had an error while processing your request."}
    return {**accepted, "status": "failed", "error": error}


def refused(
    status: int,
    message: str,
    kind: str,
    code: str | None = None,
    *,
    param: str | None = None,
    headers: Mapping[str, str] | None = None,
) -> Reply:
    """Build a refusal in OpenAI's error format."""
    error = {"message": message, "type": kind, "param": param, "code": code}
    return Reply(status=status, body={"error": error}, headers=headers or {})


def own_headers() -> dict[str, str]:
    """Build the headers that every reply of this API has."""
    return {
        "x-request-id": f"req_{secrets.token_hex(16)}",
        "openai-version": "2020-10-01",
        "openai-organization": "org-sandbox",
    }


def headers_of_no_limit(input_tokens: int) -> dict[str, str]:
    """Build the headers about rate limits that never run out."""
    return {
        "x-ratelimit-limit-requests": str(_REQUESTS_A_MINUTE),
        "x-ratelimit-remaining-requests": str(_REQUESTS_A_MINUTE - 1),
        "x-ratelimit-reset-requests": "1ms",
        "x-ratelimit-limit-tokens": str(_TOKENS_A_MINUTE),
        "x-ratelimit-remaining-tokens": str(max(0, _TOKENS_A_MINUTE - input_tokens)),
        "x-ratelimit-reset-tokens": "1ms",
    }


def _within(limit: int | None, text: str, reasoning: int) -> Said:
    whole = reasoning + tokens_of(text)
    if limit is None or whole <= limit:
        return Said(text, whole, reasoning, is_cut=False)
    thought = min(reasoning, limit)
    return Said(text[: (limit - thought) * _CHARACTERS_PER_TOKEN], limit, thought, is_cut=True)


def _responses_question(body: Mapping[str, object]) -> Question:
    instructions, text = _split(body["input"])
    given = _text(body.get("instructions"))
    wanted = _object(_object(body.get("text")).get("format"))
    return _question(body, "\n".join(filter(None, [given, instructions])), text, wanted)


def _chat_question(body: Mapping[str, object]) -> Question:
    instructions, text = _split(body["messages"])
    wanted = _object(_object(body.get("response_format")).get("json_schema"))
    return _question(body, instructions, text, wanted)


def _question(
    body: Mapping[str, object], instructions: str, text: str, wanted: Mapping[str, object]
) -> Question:
    return Question(
        model=str(body["model"]),
        instructions=instructions,
        text=text,
        schema_name=_text(wanted.get("name")),
        schema=_object(wanted.get("schema")) or None,
        background=body.get("background") is True,
        limit=next((most for name in _LIMITS if isinstance(most := body.get(name), int)), None),
    )


def _split(given: object) -> tuple[str, str]:
    """Separate the instructions from the input."""
    if isinstance(given, str):
        return "", given
    instructing: list[str] = []
    rest: list[str] = []
    for message in map(_object, given if isinstance(given, list) else []):
        pile = instructing if message.get("role") in _INSTRUCTING_ROLES else rest
        pile.append(_text(message.get("content")))
    return "\n".join(instructing), "\n".join(rest)


def _text(content: object) -> str:
    if isinstance(content, str):
        return content
    parts = content if isinstance(content, list) else []
    return "\n".join(str(part["text"]) for part in map(_object, parts) if "text" in part)


def _object(value: object) -> Mapping[str, object]:
    return value if isinstance(value, dict) else {}


def _response(question: Question, said: Said, at: int) -> Body:
    content = {"type": "output_text", "text": said.text, "annotations": [], "logprobs": []}
    message = {
        "id": f"msg_{secrets.token_hex(25)}",
        "type": "message",
        "status": "completed",
        "role": "assistant",
        "content": [content],
    }
    read = question.tokens
    return {
        "id": f"resp_{secrets.token_hex(25)}",
        "object": "response",
        "created_at": at,
        "completed_at": at,
        "status": "incomplete" if said.is_cut else "completed",
        "error": None,
        "incomplete_details": {"reason": "max_output_tokens"} if said.is_cut else None,
        "instructions": question.instructions or None,
        "model": MODEL,
        "output": [message],
        "parallel_tool_calls": True,
        "service_tier": "default",
        "store": False,
        "tool_choice": "auto",
        "tools": [],
        "metadata": {},
        "usage": {
            "input_tokens": read,
            "input_tokens_details": {"cached_tokens": 0, "cache_write_tokens": 0},
            "output_tokens": said.tokens,
            "output_tokens_details": {"reasoning_tokens": said.reasoning},
            "total_tokens": read + said.tokens,
        },
    }


def _completion(question: Question, said: Said, at: int) -> Body:
    message: Body = {"role": "assistant", "content": said.text, "refusal": None, "annotations": []}
    read, ending = question.tokens, "length" if said.is_cut else "stop"
    return {
        "id": f"chatcmpl-{secrets.token_hex(14)}",
        "object": "chat.completion",
        "created": at,
        "model": MODEL,
        "choices": [{"index": 0, "message": message, "logprobs": None, "finish_reason": ending}],
        "service_tier": "default",
        "system_fingerprint": "fp_sandbox",
        "usage": {
            "prompt_tokens": read,
            "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
            "completion_tokens": said.tokens,
            "completion_tokens_details": {
                "reasoning_tokens": said.reasoning,
                "audio_tokens": 0,
                "accepted_prediction_tokens": 0,
                "rejected_prediction_tokens": 0,
            },
            "total_tokens": read + said.tokens,
        },
    }
