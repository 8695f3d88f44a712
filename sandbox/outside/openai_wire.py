"""Speaks the two OpenAI forms in use: what a request asks, how an answer or a refusal looks."""

import json
import secrets
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from http import HTTPStatus

from sandbox.outside.ledger import content_of

MODEL = "sandbox-extractive-1"
RESPONSES_PATH = "/v1/responses"
CHAT_PATH = "/v1/chat/completions"

_CHARACTERS_PER_TOKEN = 4  # OpenAI's own rule of thumb
_REQUESTS_A_MINUTE = 30_000
_TOKENS_A_MINUTE = 150_000_000
_INSTRUCTING_ROLES = {"system", "developer"}

Body = dict[str, object]


class BadRequest(Exception):
    """The request is not one this service can read."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What a request asks, whichever of the two forms it came in."""

    model: str
    instructions: str
    text: str
    schema_name: str
    schema: Mapping[str, object] | None
    #: Whether the answer is made after the reply, for the client to come for.
    background: bool = False

    @property
    def content(self) -> str:
        """The digest the ledger knows it by; the form it came in makes no difference."""
        return content_of(self.model, self.instructions, self.text, self.schema_name)

    @property
    def tokens(self) -> int:
        """What reading it costs; the schema is read too."""
        schema = "" if self.schema is None else json.dumps(self.schema)
        return tokens_of(self.instructions + self.text + schema)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reply:
    """One HTTP answer, and what it costs."""

    status: int
    body: Mapping[str, object]
    headers: Mapping[str, str] = field(default_factory=dict)
    input_tokens: int = 0
    output_tokens: int = 0


def tokens_of(text: str) -> int:
    """Estimate tokens, rounded up."""
    return -(-len(text) // _CHARACTERS_PER_TOKEN)


def question_in(path: str, raw: bytes) -> Question:
    """Read a request.

    Raises:
        BadRequest: It is no JSON object, asks for streaming, lacks the model or the input, or asks for a
            response in the background that must not be stored.
    """
    try:
        body = json.loads(raw)
    except ValueError as exc:
        raise BadRequest("We could not parse the JSON body of your request.") from exc
    if not isinstance(body, dict):
        raise BadRequest("The body must be a JSON object.")
    asked = body.get("input" if path == RESPONSES_PATH else "messages")
    if not isinstance(body.get("model"), str) or not asked:
        raise BadRequest("Missing required parameter: model, and input or messages.")
    if body.get("stream"):
        raise BadRequest("This service does not stream.")
    if body.get("background") and body.get("store") is False:
        raise BadRequest("Background responses must be stored.")
    return _responses_question(body) if path == RESPONSES_PATH else _chat_question(body)


def answered(path: str, question: Question, text: str, at: int) -> Reply:
    """Shape `text` as the answer to `question`, made at `at` (unix seconds)."""
    shape: Callable[[Question, str, int], Body] = _response if path == RESPONSES_PATH else _completion
    return Reply(
        status=HTTPStatus.OK,
        body=shape(question, text, at),
        input_tokens=question.tokens,
        output_tokens=tokens_of(text),
    )


def waiting(question: Question, at: int) -> Body:
    """Shape the response to `question` that is only accepted, at `at` (unix seconds)."""
    body = {**_response(question, "", at), "status": "queued", "completed_at": None, "output": []}
    return {**body, "usage": None, "background": True, "store": True}


def failed(accepted: Body) -> Body:
    """Shape the end of an accepted response that could not be made."""
    error = {"code": "server_error", "message": "The server had an error while processing your request."}
    return {**accepted, "status": "failed", "error": error}


def refused(
    status: int, message: str, kind: str, code: str | None = None, retry_after: int | None = None
) -> Reply:
    """Shape a refusal in OpenAI's error form; `retry_after` is in seconds."""
    error = {"message": message, "type": kind, "param": None, "code": code}
    headers = {} if retry_after is None else {"Retry-After": str(retry_after)}
    return Reply(status=status, body={"error": error}, headers=headers)


def refused_key(authorization: str | None) -> Reply | None:
    """Refuse a missing key and the two that stand for a wrong key and an empty account."""
    match (authorization or "").removeprefix("Bearer ").strip():
        case "":
            return refused(401, "You didn't provide an API key.", "invalid_request_error")
        case "sk-invalid":
            message = "Incorrect API key provided: sk-inv***lid."
            return refused(401, message, "invalid_request_error", "invalid_api_key")
        case "sk-no-quota":
            message = "You exceeded your current quota, please check your plan and billing details."
            return refused(429, message, "insufficient_quota", "insufficient_quota")
    return None


def headers_of(reply: Reply) -> dict[str, str]:
    """Build the headers that every answer of this API carries; the limits they tell never run out."""
    return {
        "x-request-id": f"req_{secrets.token_hex(16)}",
        "openai-version": "2020-10-01",
        "openai-organization": "org-sandbox",
        "x-ratelimit-limit-requests": str(_REQUESTS_A_MINUTE),
        "x-ratelimit-remaining-requests": str(_REQUESTS_A_MINUTE - 1),
        "x-ratelimit-reset-requests": "1ms",
        "x-ratelimit-limit-tokens": str(_TOKENS_A_MINUTE),
        "x-ratelimit-remaining-tokens": str(max(0, _TOKENS_A_MINUTE - reply.input_tokens)),
        "x-ratelimit-reset-tokens": "1ms",
    }


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
    )


def _split(asked: object) -> tuple[str, str]:
    """Part what instructs from what is asked."""
    if isinstance(asked, str):
        return "", asked
    instructing: list[str] = []
    asking: list[str] = []
    for message in map(_object, asked if isinstance(asked, list) else []):
        pile = instructing if message.get("role") in _INSTRUCTING_ROLES else asking
        pile.append(_text(message.get("content")))
    return "\n".join(instructing), "\n".join(asking)


def _text(content: object) -> str:
    if isinstance(content, str):
        return content
    parts = content if isinstance(content, list) else []
    return "\n".join(str(part["text"]) for part in map(_object, parts) if "text" in part)


def _object(value: object) -> Mapping[str, object]:
    return value if isinstance(value, dict) else {}


def _response(question: Question, text: str, at: int) -> Body:
    content = {"type": "output_text", "text": text, "annotations": [], "logprobs": []}
    message = {
        "id": f"msg_{secrets.token_hex(25)}",
        "type": "message",
        "status": "completed",
        "role": "assistant",
        "content": [content],
    }
    read, written = question.tokens, tokens_of(text)
    return {
        "id": f"resp_{secrets.token_hex(25)}",
        "object": "response",
        "created_at": at,
        "completed_at": at,
        "status": "completed",
        "error": None,
        "incomplete_details": None,
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
            "output_tokens": written,
            "output_tokens_details": {"reasoning_tokens": 0},
            "total_tokens": read + written,
        },
    }


def _completion(question: Question, text: str, at: int) -> Body:
    message: Body = {"role": "assistant", "content": text, "refusal": None, "annotations": []}
    read, written = question.tokens, tokens_of(text)
    return {
        "id": f"chatcmpl-{secrets.token_hex(14)}",
        "object": "chat.completion",
        "created": at,
        "model": MODEL,
        "choices": [{"index": 0, "message": message, "logprobs": None, "finish_reason": "stop"}],
        "service_tier": "default",
        "system_fingerprint": "fp_sandbox",
        "usage": {
            "prompt_tokens": read,
            "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
            "completion_tokens": written,
            "completion_tokens_details": {
                "reasoning_tokens": 0,
                "audio_tokens": 0,
                "accepted_prediction_tokens": 0,
                "rejected_prediction_tokens": 0,
            },
            "total_tokens": read + written,
        },
    }
