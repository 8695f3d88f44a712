"""What a person does about a failed call: one line for each reason, the closed list of them.

A reason is a word that the tasks and their clients of services raise; ``docs/refusals.md`` is this table for
people. It is plain data: a producer prints it without loading a client.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

_AGAIN = "Nothing to do: the job is tried again by itself."
_SERVICE = "Look at the service's own log or status page."

CURES: Final[Mapping[str, str]] = MappingProxyType(
    {
        # The call was refused before it was paid: the job waits.
        "rate_limited": (
            "Nothing to do: the job waits as the service asks. More at once needs a higher limit there."
        ),
        "overloaded": "Nothing to do: the job waits until the service has room.",
        "unavailable": f"{_AGAIN} {_SERVICE}",
        "connect_failed": (
            "Start the service, or correct the host, port or TLS of OPENAI_BASE_URL (CUSTOMER_API_URL)."
        ),
        # The call may have been paid.
        "connection_lost": f"{_AGAIN} If it stays, look at the network, and at proxies between.",
        "timeout": (
            "Raise LLM_TIMEOUT (CUSTOMER_API_TIMEOUT), or send less at once to a service of one's own."
        ),
        "server_error": f"{_AGAIN} {_SERVICE}",
        "gateway_gave_up": "Raise the time limit of the gateway before the service above LLM_TIMEOUT.",
        # This payload never succeeds.
        "context_length_exceeded": "Lower LLM_MAX_INPUT_CHARS, or give the model a larger context.",
        "content_policy": "The service refuses this text. Change it, or the filter of the service.",
        "invalid_request": (
            "The service refuses this request. Compare OPENAI_MODEL and LLM_API with its manual."
        ),
        "not_found": "The service has no such object. Correct the id in the row.",
        "conflict": f"{_AGAIN} Another request works on the same object.",
        "too_large": "Lower LLM_MAX_INPUT_CHARS, or raise the service's limit for one request.",
        # An operator must act: every payload meets it.
        "invalid_key": "Set OPENAI_API_KEY, or OPENAI_API_KEY_FILE, to a key that the service accepts.",
        "no_api_key": (
            "Set OPENAI_API_KEY or OPENAI_API_KEY_FILE. Any word will do for a service without keys."
        ),
        "no_permission": "Give the key of OPENAI_API_KEY the right to use this model from this place.",
        "no_credit": "Add credit to the account of OPENAI_API_KEY, or raise its spending limit.",
        "model_not_found": "Set OPENAI_MODEL to a name that GET {OPENAI_BASE_URL}/models lists.",
        "not_an_api": (
            "Correct OPENAI_BASE_URL: for most services it ends with /v1. LLM_API chooses the form."
        ),
        "redirected": (
            "Set OPENAI_BASE_URL (CUSTOMER_API_URL) to the address that answers itself: http or https."
        ),
        "response_format_unsupported": (
            "Set OPENAI_MODEL to one that can answer in JSON, or update the service."
        ),
        "background_unsupported": "Set LLM_BACKGROUND=false: this service does not work in the background.",
        # An answer came, and was paid, but cannot be used.
        "malformed_answer": "The model's answer was no JSON. Choose a model that follows a JSON schema.",
        "answer_does_not_fit": "The model's answer broke its schema. Choose a model that follows one.",
        "truncated": "The model's answer was cut. Raise LLM_MAX_OUTPUT_TOKENS or the service's own limit.",
        "refused": "The model refuses this text. Change it, or choose another model.",
        "unfinished": f"The service gave back an answer before its end. {_SERVICE}",
        "empty_answer": "The model answered nothing. Choose another model.",
        "reply_too_large": "The reply was larger than any answer. Look at what stands at OPENAI_BASE_URL.",
        "reply_encoding_unsupported": (
            "Let the service or its proxy compress replies with gzip, or not at all."
        ),
        "answers_unusable": "One answer after the other was unusable. Choose another model, or LLM_API.",
        "no_transcript": "The row has no transcript. Correct the row.",
        "blank_text": "The text is blank. Correct the row.",
        "client_error": "The client library failed. Update the package openai.",
    }
)

#: How a person has a job made again that ended without an answer. A failure for good is kept for a while, and
#: one that an operator had to cure is not kept.
_ASK_AGAIN: Final[Mapping[str, str]] = MappingProxyType(
    {
        "quarantined": "Then: python -m producer dead replay {key}",
        "permanent": "Then: python -m producer submit TASK FILE --retry-failed",
        "configuration": "Then: python -m producer submit TASK FILE",
        "transient": "Then: python -m producer submit TASK FILE",
    }
)


def cure_of(reason: str, *, kind: str = "", key: str = "ID") -> str:
    """Return what a person can do about a failure, in one line; empty for a reason that is not in the list.

    A reason may name a place after ``@``. The *kind* of a failure that was given up adds the command that has
    the job with this *key* made again: nothing happens by itself any more.
    """
    cure, again = CURES.get(reason.partition("@")[0], ""), _ASK_AGAIN.get(kind, "")
    if again and cure.startswith("Nothing to do"):
        cure = cure.partition(". ")[2]
    return " ".join(filter(None, (cure, again.format(key=key))))
