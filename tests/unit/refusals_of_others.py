"""Refusals in words of single services, and of what stands before them: see ``real_refusals.py``."""

from __future__ import annotations

from askonce.errors import Configuration, Permanent, Postponed, Transient
from tasks.providers.openai.words import CUT
from tests.unit.refusal_bodies import gemini, openai

#: Status, the text that says it, and what it means.
_TEXTS = {
    "together model that is not served": (
        400,
        "Unable to access non-serverless model meta/m. Please create a dedicated endpoint.",
        Configuration,
        "model_not_found",
    ),
    "ollama model without a chat": (
        400,
        '"embed:latest" does not support chat',
        Configuration,
        "model_not_found",
    ),
    "anthropic workspace at its limit of spending": (
        400,
        "You have reached your specified workspace API usage limits. You will regain access on 2026-12-01.",
        Configuration,
        "no_credit",
    ),
    "gemini without credits": (
        429,
        "Your prepayment credits are depleted. Please go to AI Studio to manage your project.",
        Configuration,
        "no_credit",
    ),
    "gemini at its cap": (
        429,
        "Your project has exceeded its monthly spending cap.",
        Configuration,
        "no_credit",
    ),
    "openrouter key at its limit": (403, "Key limit exceeded (monthly limit).", Configuration, "no_credit"),
    "dashscope free tier": (
        403,
        "The free tier of the model has been exhausted.",
        Configuration,
        "no_credit",
    ),
    "gemini model without json": (
        400,
        "JSON mode is not enabled for models/gemma-3-27b-it",
        Configuration,
        "response_format_unsupported",
    ),
    "gemini schema that is too large": (
        400,
        "The specified schema produces a constraint that has too many states for serving.",
        Configuration,
        "response_format_unsupported",
    ),
    "openrouter without a service for the parameters": (
        404,
        "No endpoints found that can handle the requested parameters.",
        Configuration,
        "response_format_unsupported",
    ),
    "gemini without a key": (
        400,
        "Missing or invalid Authorization header.",
        Configuration,
        "invalid_key",
    ),
    "anthropic organization that is disabled": (
        400,
        "This organization has been disabled.",
        Configuration,
        "no_permission",
    ),
    "azure version of the api": (400, "API version not supported", Configuration, "not_an_api"),
    "anthropic input and limit": (
        400,
        "input length and `max_tokens` exceed context limit: 199211 + 20000 > 200000",
        Permanent,
        "context_length_exceeded",
    ),
    "moonshot long input": (
        400,
        "Invalid request: Your request exceeded model token limit: 131072",
        Permanent,
        "context_length_exceeded",
    ),
    "dashscope long input": (
        400,
        "Range of input length should be [1, 129024]",
        Permanent,
        "context_length_exceeded",
    ),
    "gemini in high demand": (
        503,
        "This model is currently experiencing high demand. Spikes in demand are usually temporary.",
        Postponed,
        "overloaded",
    ),
    "deepseek busy": (
        503,
        "Service is too busy. We advise users to use other services.",
        Postponed,
        "overloaded",
    ),
    "sglang full queue": (503, "The request queue is full.", Postponed, "overloaded"),
}
_PLACES = [
    {"type": "extra_forbidden", "loc": ["body", "response_format"], "msg": "Extra inputs are not permitted"}
]

#: The fields of the error, in place of the error itself.
_GROQ = openai("Failed to generate JSON.", "invalid_request_error", "json_validate_failed")["error"]

REFUSALS = {
    **{
        name: (status, {}, openai(text, "invalid_request_error"), kind, reason, None)
        for name, (status, text, kind, reason) in _TEXTS.items()
    },
    **{
        f"cloudflare {status}": (status, {}, "error code: 1033", Postponed, "connect_failed", None)
        for status in (521, 523, 525, 526, 530)
    },
    "nginx of https that is asked for http": (
        400,
        {},
        "<html><center>The plain HTTP request was sent to HTTPS port</center></html>",
        Configuration,
        "not_an_api",
        None,
    ),
    "go server of https that is asked for http": (
        400,
        {},
        "Client sent an HTTP request to an HTTPS server.\n",
        Configuration,
        "not_an_api",
        None,
    ),
    "litellm key without the model": (
        401,
        {},
        openai("key not allowed to access model", "key_model_access_denied", "401"),
        Configuration,
        "no_permission",
        None,
    ),
    "mistral places in its message": (
        422,
        {},
        {"object": "error", "message": {"detail": _PLACES}, "type": "invalid_request_error"},
        Configuration,
        "response_format_unsupported",
        None,
    ),
    "groq answer that was cut": (400, {}, _GROQ | {"failed_generation": CUT}, Transient, "truncated", None),
    "groq answer that only says it was cut": (
        400,
        {},
        _GROQ | {"failed_generation": f'{{"a": "{CUT}'},
        Transient,
        "malformed_answer",
        None,
    ),
    "gemini unavailable": (
        503,
        {},
        gemini(503, "The service is currently unavailable.", "UNAVAILABLE"),
        Transient,
        "unavailable",
        None,
    ),
}
