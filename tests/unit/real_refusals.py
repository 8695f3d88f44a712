"""What real services answer in place of an answer, and what each means: status, headers, body, verdict.

The bodies are in the forms that the services send: read off running servers (llama.cpp, llama-cpp-python,
vLLM, LiteLLM), out of public reports, or, where neither was at hand, written by their documentation.
"""

from __future__ import annotations

from askonce.errors import Configuration, Permanent
from tests.unit.refusal_bodies import (
    AZURE_FILTER,
    FORMAT_422,
    GROQ_SCHEMA,
    HTML,
    LLAMA_TOO_LONG,
    NGINX,
    TOO_MUCH,
    VLLM_CONTEXT,
    gemini,
    litellm,
    numbered,
    openai,
)
from tests.unit.refusals_of_accounts import REFUSALS as OF_ACCOUNTS
from tests.unit.refusals_of_all import REFUSALS as OF_ALL
from tests.unit.refusals_of_others import REFUSALS as OF_SINGLE_SERVICES

OF_OTHERS = OF_ALL | OF_ACCOUNTS | OF_SINGLE_SERVICES
REFUSALS = OF_OTHERS | {
    "groq retired model": (
        400,
        {},
        openai(
            "The model `llama2-70b` has been decommissioned and is no longer supported.",
            "invalid_request_error",
            "model_decommissioned",
        ),
        Configuration,
        "model_not_found",
        None,
    ),
    "ollama unknown model": (
        404,
        {},
        openai('model "llama9" not found, try pulling it first', "api_error"),
        Configuration,
        "model_not_found",
        None,
    ),
    "vllm unknown model": (
        404,
        {},
        {"object": "error", "message": "The model `m` does not exist.", "type": "NotFoundError", "code": 404},
        Configuration,
        "model_not_found",
        None,
    ),
    "deepseek unknown model": (
        400,
        {},
        openai("Model Not Exist", "invalid_request_error", "invalid_request_error"),
        Configuration,
        "model_not_found",
        None,
    ),
    "gemini unknown model": (
        404,
        {},
        gemini(404, "models/gemini-0 is not found for API version v1main", "NOT_FOUND"),
        Configuration,
        "model_not_found",
        None,
    ),
    "azure unknown deployment": (
        404,
        {},
        {
            "error": {
                "code": "DeploymentNotFound",
                "message": "The API deployment for this resource does not exist.",
            }
        },
        Configuration,
        "model_not_found",
        None,
    ),
    "anthropic unknown model": (
        404,
        {},
        {"type": "error", "error": {"type": "not_found_error", "message": "model: claude-0"}},
        Configuration,
        "model_not_found",
        None,
    ),
    "mistral unknown model": (
        400,
        {},
        {"object": "error", "message": "Invalid model: m", "type": "invalid_model", "code": "1500"},
        Configuration,
        "model_not_found",
        None,
    ),
    "litellm unknown model": (
        400,
        {},
        litellm(
            "/chat/completions: Invalid model name passed in model=m. Call `/v1/models` to view available"
            " models for your key.",
            "invalid_request_error",
            "400",
        ),
        Configuration,
        "model_not_found",
        None,
    ),
    "404 of a web server": (404, HTML, NGINX.format("404 Not Found"), Configuration, "not_an_api", None),
    "404 of fastapi": (404, {}, {"detail": "Not Found"}, Configuration, "not_an_api", None),
    "llama.cpp 404": (
        404,
        {},
        numbered(404, "File Not Found", "not_found_error"),
        Configuration,
        "not_an_api",
        None,
    ),
    "openai 404 of a path": (
        404,
        {},
        openai("Invalid URL (POST /chat/completions)", "invalid_request_error"),
        Configuration,
        "not_an_api",
        None,
    ),
    "404 of nothing": (404, {}, "", Configuration, "not_an_api", None),
    "405": (405, {}, {"detail": "Method Not Allowed"}, Configuration, "not_an_api", None),
    "307": (307, {"location": "http://10.0.0.1/"}, "", Configuration, "redirected", None),
    "301": (301, {"location": "https://x/v1"}, NGINX.format("301"), Configuration, "redirected", None),
    # A form of the answer that this service cannot give.
    "llama-cpp-python and a schema": (
        500,
        {},
        openai(
            "[{'type': 'literal_error', 'loc': ('body', 'response_format', 'type'), 'msg': \"Input should be"
            " 'text' or 'json_object'\"}]",
            "internal_server_error",
        ),
        Configuration,
        "response_format_unsupported",
        None,
    ),
    "fastapi and a schema": (422, {}, FORMAT_422, Configuration, "response_format_unsupported", None),
    "llama.cpp and a schema": (
        400,
        {},
        numbered(400, "Failed to initialize samplers: std::exception", "invalid_request_error"),
        Configuration,
        "response_format_unsupported",
        None,
    ),
    "deepseek and a schema": (
        400,
        {},
        openai(
            "This response_format type is unavailable now", "invalid_request_error", "invalid_request_error"
        ),
        Configuration,
        "response_format_unsupported",
        None,
    ),
    "deepseek and a schema in its own words": (
        422,
        {},
        "Failed to deserialize the JSON body: response_format.type `json_schema` is unavailable now",
        Configuration,
        "response_format_unsupported",
        None,
    ),
    "deepinfra and any object": (
        405,
        {},
        {
            "status": "failure",
            "error": {
                "message": "deepinfra error: json_object response format is not supported for model: m",
                "type": "APIError",
                "code": "405",
            },
        },
        Configuration,
        "response_format_unsupported",
        None,
    ),
    "groq and a schema": (
        400,
        {},
        openai(GROQ_SCHEMA, "invalid_request_error"),
        Configuration,
        "response_format_unsupported",
        None,
    ),
    "openai and a schema": (
        400,
        {},
        openai(
            "Invalid parameter: 'text.format' of type 'json_schema' is not supported with this model.",
            "invalid_request_error",
            None,
            "text.format",
        ),
        Configuration,
        "response_format_unsupported",
        None,
    ),
    "a schema by the parameter only": (
        400,
        {},
        openai("Unsupported value", "invalid_request_error", "unsupported_value", "response_format"),
        Configuration,
        "response_format_unsupported",
        None,
    ),
    "vllm and a schema": (
        400,
        {},
        numbered(
            400, "The provided JSON schema contains features not supported by xgrammar.", "BadRequestError"
        ),
        Configuration,
        "response_format_unsupported",
        None,
    ),
    "ollama and a schema": (
        500,
        {},
        openai("failed to parse grammar", "api_error"),
        Configuration,
        "response_format_unsupported",
        None,
    ),
    "no background": (
        400,
        {},
        openai(
            "Background mode is not supported with this model.", "invalid_request_error", None, "background"
        ),
        Configuration,
        "background_unsupported",
        None,
    ),
    # This payload never succeeds.
    "openai too long": (
        400,
        {},
        openai(
            "Your input exceeds the context window of this model. Please adjust your input and try again.",
            "invalid_request_error",
            "context_length_exceeded",
            "input",
        ),
        Permanent,
        "context_length_exceeded",
        None,
    ),
    "llama.cpp too long": (400, {}, LLAMA_TOO_LONG, Permanent, "context_length_exceeded", None),
    "vllm too long": (
        400,
        {},
        {"object": "error", "message": VLLM_CONTEXT, "type": "BadRequestError", "param": None, "code": 400},
        Permanent,
        "context_length_exceeded",
        None,
    ),
    "ollama too long": (
        400,
        {},
        openai("the input length exceeds the context length", "invalid_request_error"),
        Permanent,
        "context_length_exceeded",
        None,
    ),
    "gemini too long": (
        400,
        {},
        gemini(
            400,
            "The input token count (1200000) exceeds the maximum number of tokens allowed (1048576).",
            "INVALID_ARGUMENT",
        ),
        Permanent,
        "context_length_exceeded",
        None,
    ),
    "lm studio too long": (
        400,
        {},
        {
            "error": "Trying to keep the first 111490 tokens when context the overflows. However, the model"
            " is loaded with context length of only 32768 tokens, which is not enough."
        },
        Permanent,
        "context_length_exceeded",
        None,
    ),
    "litellm too long": (
        400,
        {},
        litellm("litellm.ContextWindowExceededError: litellm.BadRequestError: Error code: 400", None, "400"),
        Permanent,
        "context_length_exceeded",
        None,
    ),
    "anthropic too long": (
        400,
        {},
        {
            "type": "error",
            "error": {
                "type": "invalid_request_error",
                "message": "prompt is too long: 210000 tokens > 200000 maximum",
            },
        },
        Permanent,
        "context_length_exceeded",
        None,
    ),
    "more than a minute's tokens": (
        429,
        {"retry-after": "5"},
        openai(TOO_MUCH, "tokens", "rate_limit_exceeded"),
        Permanent,
        "too_large",
        None,
    ),
    "nginx 413": (413, HTML, NGINX.format("413"), Permanent, "too_large", None),
    "azure's filter": (400, {}, AZURE_FILTER, Permanent, "content_policy", None),
    "openai's filter": (
        400,
        {},
        openai("Your request was rejected by the safety system.", "image_error", "content_policy_violation"),
        Permanent,
        "content_policy",
        None,
    ),
    "openai's invalid prompt": (
        400,
        {},
        openai("Invalid prompt", "invalid_request_error", "invalid_prompt"),
        Permanent,
        "content_policy",
        None,
    ),
    "openrouter's moderation": (
        403,
        {},
        {"error": {"code": 403, "message": "Your input was flagged for harassment", "metadata": {}}},
        Permanent,
        "content_policy",
        None,
    ),
    "deepseek's filter": (
        400,
        {},
        openai("Content Exists Risk", "invalid_request_error", "invalid_request_error"),
        Permanent,
        "content_policy",
        None,
    ),
    "openai 400": (
        400,
        {},
        openai("Invalid value: 'x'.", "invalid_request_error", "invalid_value", "temperature"),
        Permanent,
        "invalid_request",
        None,
    ),
    "fastapi 422": (
        422,
        {},
        {"detail": [{"loc": ["body", "store"], "msg": "extra fields", "input": "model context length"}]},
        Permanent,
        "invalid_request",
        None,
    ),
    "451": (451, {}, "", Permanent, "http_451", None),
}
