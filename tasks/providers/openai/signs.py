"""Recognises what a service refuses by its codes and words: where a status alone would mislead.

Services give one meaning many statuses: an unknown model is 400, 403 or 404, a text that is too long 400, 413
or 500. The first sign that fits decides, so the narrow ones stand before the wide ones.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from askonce.errors import Configuration, Permanent, Postponed, Transient
from tasks.providers.openai.words import CUT

if TYPE_CHECKING:
    from tasks.providers.failures import Verdict
    from tasks.providers.openai.words import Said

_ANY_REFUSAL: Final = frozenset(range(400, 500))
_OF_THE_REQUEST: Final = frozenset({400, 403, 404, 413, 422})
#: Some servers report what they cannot read, or cannot do, as an error of their own.
_OWN_ERRORS: Final = frozenset({500, 501})
_NO_CODES: Final[frozenset[str]] = frozenset()


def _words(*patterns: str) -> re.Pattern[str]:
    return re.compile("|".join(patterns), re.DOTALL)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Sign:
    """One meaning: it fits an answer of these statuses by a code, by the words or by the parameter."""

    meaning: Verdict
    statuses: frozenset[int]
    codes: frozenset[str] = _NO_CODES
    words: re.Pattern[str] | None = None
    param: re.Pattern[str] | None = None

    def fits(self, status: int, said: Said) -> bool:
        if status not in self.statuses:
            return False
        if self.codes & said.codes:
            return True
        if self.words is not None and self.words.search(said.words):
            return True
        return bool(said.param) and self.param is not None and self.param.search(said.param) is not None


_SIGNS: Final = (
    _Sign(
        meaning=(Configuration, "no_credit"),
        statuses=_ANY_REFUSAL,
        codes=frozenset(
            {
                *("insufficient_quota", "billing_hard_limit_reached", "billing_not_active"),
                *("insufficient_balance", "insufficient_credits", "budget_exceeded"),
                *("exceeded_current_quota_error", "arrearage", "blocked_api_access"),
            }
        ),
        words=_words(
            r"insufficient_quota",
            r"billing hard limit|billing_hard_limit|billing_not_active",
            r"credit balance is too low|insufficient (?:account )?balance|insufficient credits",
            r"budget has been exceeded|exceededbudget|doesn't have any credits|used all available credits",
            r"reaching the monthly spending limit|reached your specified (?:workspace )?api usage limits",
            r"prepayment credits are depleted|monthly spending cap|key limit exceeded",
            r"free tier is not available|free tier of the model has been exhausted",
            # Gemini says the same words when only the requests of this minute are used up.
            r"^(?!.*(?:gemini|vertex|ai\.google|resource_exhausted)).*exceeded your current quota",
        ),
    ),
    _Sign(
        meaning=(Configuration, "invalid_key"),
        statuses=frozenset({400, 403}),
        # LiteLLM without a database says the last one of any key but its own.
        codes=frozenset({"invalid_api_key", "api_key_invalid", "no_db_connection"}),
        words=_words(
            r"api_key_invalid|invalid_api_key|api key not valid|api key expired|pass a valid api key",
            r"(?:incorrect|invalid) api key|invalid x-api-key|unregistered callers",
            r"missing or invalid authorization header",
        ),
    ),
    _Sign(
        meaning=(Configuration, "no_permission"),
        statuses=frozenset({400, 401}),
        codes=frozenset({"organization_restricted", "key_model_access_denied"}),
        words=_words(r"user location is not supported|this organization has been disabled"),
    ),
    _Sign(
        # http where https is spoken, or another API.
        meaning=(Configuration, "not_an_api"),
        statuses=frozenset({400}),
        words=_words(r"http request (?:was sent to|to an) https (?:port|server)|api version not supported"),
    ),
    _Sign(
        # More than the limit of a whole minute: waiting does not help.
        meaning=(Permanent, "too_large"),
        statuses=frozenset({413, 429}),
        words=_words(r"request too large|tokens must be reduced"),
    ),
    _Sign(
        meaning=(Permanent, "context_length_exceeded"),
        statuses=frozenset({400, 403, 413, 422, 500}),
        codes=frozenset({"context_length_exceeded", "exceed_context_size_error", "context_window_exceeded"}),
        words=_words(
            r"context[_ ]?length|context[_ ]?window|maximum context|context size",
            r"input token count.{0,40}exceeds|input length.{0,60}exceeds|input token length too long",
            r"prompt is too long|input is too long|maximum (?:model|prompt) length|too many input tokens",
            r"must have less than \d+ tokens|max_new_tokens`? must be|exceeds? context limit",
            r"exceeded model token limit|range of input length should be",
        ),
    ),
    _Sign(
        meaning=(Permanent, "content_policy"),
        statuses=frozenset({400, 403, 422}),
        codes=frozenset(
            {
                *("content_filter", "content_policy_violation", "responsibleaipolicyviolation"),
                *("invalid_prompt", "data_inspection_failed", "datainspectionfailed"),
                *("bio_policy", "cyber_policy_violation", "misalignment_policy_violation"),
            }
        ),
        words=_words(
            r"content management policy|content[_ ]policy|contentpolicyviolation|content_filter",
            r"responsibleaipolicy|usage polic|usage guidelines|safety system|safety reasons",
            r"prohibited_content|content exists risk|was flagged|datainspectionfailed",
        ),
    ),
    _Sign(
        # As below, and the answer was cut.
        meaning=(Transient, "truncated"),
        statuses=frozenset({400}),
        words=_words(CUT),
    ),
    _Sign(
        # The service itself checked the model's answer, which was paid.
        meaning=(Transient, "malformed_answer"),
        statuses=frozenset({400, 422}),
        codes=frozenset({"json_validate_failed"}),
        words=_words(r"failed to (?:generate|validate) json|generated json does not match"),
    ),
    _Sign(
        meaning=(Configuration, "background_unsupported"),
        statuses=_OF_THE_REQUEST,
        words=_words(
            r"background (?:mode|responses?)|argument supplied: background\b",
            r"parameters: \['background'|^background: extra inputs",
        ),
        param=_words(r"^background$|\bbody\.background\b"),
    ),
    _Sign(
        meaning=(Configuration, "response_format_unsupported"),
        statuses=_OF_THE_REQUEST | _OWN_ERRORS | {405},
        words=_words(
            r"response[_ ]?format|response_schema|json[_ ]schema|text\.format|structured[_ ]outputs?",
            r"input should be 'text' or 'json_object'",
            r"initialize samplers|parse grammar|grammar error|guided[_ ](?:decoding|json)|xgrammar",
            r"json mode is not enabled|schema produces a constraint",
            r"no endpoints found that can handle the requested parameters",
        ),
        param=_words(r"response_format|response_schema|json_schema|text\.format"),
    ),
    _Sign(
        meaning=(Configuration, "model_not_found"),
        statuses=_OF_THE_REQUEST | {410},
        codes=frozenset(
            {
                *("model_not_found", "modelnotfound", "deploymentnotfound", "model_not_exist"),
                *("invalid_model", "model_decommissioned", "model_deprecated", "operationnotsupported"),
                "model_not_available",
            }
        ),
        words=_words(
            r"\bmodel\b.{0,200}(?:does not exist|doesn't exist|not found|is not available)",
            r"\bmodel\b.{0,200}(?:has been|was) (?:deprecated|retired|decommissioned|removed|shut ?down)",
            r"\bmodel\b.{0,200}is no longer (?:available|supported)|models/\S{1,200} is not found",
            r"model not exist|invalid model|not a valid model|unknown model|no such model|^no models loaded",
            r"llm provider not provided|deployment for this resource does not exist|no endpoints found for",
            r"unable to access non-serverless model|does not support (?:chat|generate)\b",
        ),
        param=_words(r"^model$"),
    ),
    _Sign(
        meaning=(Postponed, "unavailable"),
        statuses=frozenset({503}),
        words=_words(r"loading model|model is loading|currently loading|model .{0,200}is loading"),
    ),
    _Sign(
        # Said in so many words, it is no outage and no trouble of this request.
        meaning=(Postponed, "overloaded"),
        statuses=frozenset({498, 503}),
        codes=frozenset({"overloaded_error", "slow_down", "capacity_exceeded"}),
        words=_words(
            r"overloaded|over capacity|at capacity|capacity exceeded|server busy|slow down",
            r"high demand|service is too busy|queue is full",
        ),
    ),
    _Sign(
        meaning=(Postponed, "overloaded"), statuses=frozenset({500}), codes=frozenset({"overloaded_error"})
    ),
    _Sign(
        # A proxy did not reach the service behind it.
        meaning=(Transient, "connection_lost"),
        statuses=frozenset({500}),
        words=_words(r"exception - connection error|cannot connect to host|connection refused"),
    ),
)
#: The codes of a refusal whose status was sent before it: of one that comes late.
_LATE_STATUSES: Final = range(400, 600)
_LATE_CODES: Final = frozenset({"rate_limit_exceeded", "rate_limit_error"})
_TOO_MANY_REQUESTS: Final = 429
#: An error object of 404 that is about a model; without one the path does not exist.
_A_MODEL: Final = re.compile(r"\bmodels?\b")
_NOT_FOUND: Final = 404
#: Of a status.
_DIGITS: Final = 3


def status_of(said: Said) -> int | None:
    """Return the status that an error would have come with; None where its codes do not say."""
    numbers = (int(code) for code in said.codes if len(code) == _DIGITS and code.isdecimal())
    for number in numbers:
        if number in _LATE_STATUSES:
            return number
    named = next((each for each in _SIGNS if each.codes & said.codes), None)
    if said.codes & _LATE_CODES or (named is not None and named.meaning[1] == "no_credit"):
        return _TOO_MANY_REQUESTS
    return None


def meaning_of(status: int, said: Said) -> Verdict | None:
    """Return what an answer with this *status* means by what it says; None where the status says it all."""
    for sign in _SIGNS:
        if sign.fits(status, said):
            return sign.meaning
    if status == _NOT_FOUND and said.is_error and _A_MODEL.search(said.words):
        return Configuration, "model_not_found"
    return None
