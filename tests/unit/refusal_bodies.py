"""The forms in which services refuse, and texts that several refusals share."""

from __future__ import annotations

import json

HTML = {"content-type": "text/html"}
NGINX = "<html><head><title>{0}</title></head><body><center><h1>{0}</h1></center><hr>nginx</body></html>"


def openai(message, kind, code=None, param=None):
    return {"error": {"message": message, "type": kind, "param": param, "code": code}}


def numbered(code, message, kind):
    """llama.cpp's form, and vLLM's: the code is the status."""
    return {"error": {"code": code, "message": message, "type": kind}}


def gemini(code, message, status, *reasons):
    details = [
        {"@type": "type.googleapis.com/google.rpc.ErrorInfo", "reason": reason, "domain": "googleapis.com"}
        for reason in reasons
    ]
    return [{"error": {"code": code, "message": message, "status": status, "details": details}}]


def litellm(message, kind, code):
    return {"error": {"message": message, "type": kind, "param": None, "code": code}}


QUOTA = (
    "You exceeded your current quota, please check your plan and billing details. For more information on"
    " this error, read the docs: https://platform.openai.com/docs/guides/error-codes/api-errors."
)
GEMINI_QUOTA = (
    "You exceeded your current quota, please check your plan and billing details. For more information on"
    " this error, head to: https://ai.google.dev/gemini-api/docs/rate-limits. * Quota exceeded for metric:"
    " generativelanguage.googleapis.com/generate_content_free_tier_requests, limit: 10"
)
TPM = (
    "Rate limit reached for gpt-4o in organization org-x on tokens per min (TPM): Limit 30000, Used 29100,"
    " Requested 1400. Please try again in 1s."
)
TOO_MUCH = (
    "Request too large for gpt-4o in organization org-x on tokens per min (TPM): Limit 30000, Requested"
    " 41000. The input or output tokens must be reduced in order to run successfully."
)
GROQ_SCHEMA = "This model does not support response format `json_schema`. See supported models at https://x"
VLLM_CONTEXT = (
    "This model's maximum context length is 4096 tokens. However, you requested 5200 tokens (5200 in the"
    " messages, 0 in the completion). Please reduce the length of the messages or completion."
)
AZURE_FILTER = {
    "error": {
        "message": "The response was filtered due to the prompt triggering Azure OpenAI's content management"
        " policy. Please modify your prompt and retry.",
        "type": None,
        "param": "prompt",
        "code": "content_filter",
        "status": 400,
        "innererror": {"code": "ResponsibleAIPolicyViolation", "content_filter_result": {}},
    }
}
LLAMA_TOO_LONG = {
    "error": {
        "code": 400,
        "message": "request (23699 tokens) exceeds the available context size (4096 tokens), try increasing"
        " it",
        "type": "exceed_context_size_error",
        "n_prompt_tokens": 23699,
        "n_ctx": 4096,
    }
}
FORMAT_422 = {
    "detail": [
        {
            "type": "literal_error",
            "loc": ["body", "response_format", "type"],
            "msg": "Input should be 'text' or 'json_object'",
            "input": "json_schema",
        }
    ]
}

#: Name -> (status, headers, body, kind, reason, wish).


def body_of(body):
    """Return the bytes of a body: a text as it is, anything else as JSON."""
    return body.encode() if isinstance(body, str) else json.dumps(body).encode()
