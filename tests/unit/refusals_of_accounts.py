"""Refusals of an account, and of what stands before a service: see ``real_refusals.py``."""

from __future__ import annotations

from askonce.errors import Configuration, Permanent, Transient
from tests.unit.refusal_bodies import gemini, litellm, openai

TOGETHER = (
    "Input validation error: Input token count + `max_tokens` (9200 + 4096) must be less than the context"
    " length of the model (8193)."
)
USED_UP = (
    "You have reached your specified API usage limits. You will regain access on 2026-12-01 at 00:00 UTC."
)
NO_FREE = (
    "Gemini API free tier is not available in your country. Please enable billing on your project in Google"
    " AI Studio."
)

REFUSALS = {
    "groq account that is blocked": (
        400,
        {},
        openai(
            "API access is blocked until the invoice is paid.", "invalid_request_error", "blocked_api_access"
        ),
        Configuration,
        "no_credit",
        None,
    ),
    "gemini without a free tier": (
        400,
        {},
        gemini(400, NO_FREE, "FAILED_PRECONDITION"),
        Configuration,
        "no_credit",
        None,
    ),
    "anthropic at its limit of spending": (
        400,
        {},
        {"type": "error", "error": {"type": "invalid_request_error", "message": USED_UP}},
        Configuration,
        "no_credit",
        None,
    ),
    "azure model without this operation": (
        400,
        {},
        {
            "error": {
                "code": "OperationNotSupported",
                "message": "The chatCompletion operation does not work with the specified model, o3-pro.",
            }
        },
        Configuration,
        "model_not_found",
        None,
    ),
    "litellm in front of a gemini that is not served here": (
        400,
        {},
        litellm(
            "litellm.BadRequestError: GeminiException BadRequestError - User location is not supported for"
            " the API use.",
            None,
            "400",
        ),
        Configuration,
        "no_permission",
        None,
    ),
    "together too long": (
        403,
        {},
        openai(TOGETHER, "invalid_request_error"),
        Permanent,
        "context_length_exceeded",
        None,
    ),
    "litellm that does not reach its service": (
        500,
        {},
        litellm(
            "litellm.InternalServerError: InternalServerError: OpenAIException - Connection error..",
            None,
            "500",
        ),
        Transient,
        "connection_lost",
        None,
    ),
    "litellm that is refused by its service": (
        500,
        {},
        litellm("litellm.APIConnectionError: Cannot connect to host 10.0.0.7:8000", None, "500"),
        Transient,
        "connection_lost",
        None,
    ),
    "gemini that was cancelled": (
        499,
        {},
        gemini(499, "The operation was cancelled.", "CANCELLED"),
        Transient,
        "gateway_gave_up",
        None,
    ),
    "hugging face that lost its worker": (
        424,
        {},
        {"error": "Request failed during generation", "error_type": "generation"},
        Transient,
        "gateway_gave_up",
        None,
    ),
}
