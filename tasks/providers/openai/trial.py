"""Calls the model as workers do, once and as small as can be, and says what came: for the doctor.

    call ──> answer that follows its schema? ──> cut answer: is it reported as cut?
      └─ failure: its reason and cure

No job, no record and no pace are part of it.
"""

from __future__ import annotations

import json
import time
from contextlib import closing
from threading import Event as Signal
from typing import TYPE_CHECKING, Final, Literal

from pydantic import BaseModel, ConfigDict

from askonce.checks import Finding
from askonce.errors import CallFailed, Configuration, Permanent, Transient
from askonce.log import digits_of
from settings.environment import is_openai
from tasks.providers.openai.model import LanguageModel
from tasks.providers.openai.reply import standing
from tasks.providers.openai.twice import is_unusable
from tasks.providers.openai.two_steps import is_usable
from tasks.reasons import cure_of

if TYPE_CHECKING:
    from askonce.answer import Answer
    from askonce.checks import Severity
    from settings.environment import Settings

#: The fewest output tokens that OpenAI accepts for a limit.
_FEW_TOKENS: Final = 16
#: Seconds between two looks at a response in the background, and for one look.
_PAUSE, _LOOK_SECONDS = 0.5, 10.0
#: A service that refuses so takes calls at other times.
_BUSY: Final = frozenset({"rate_limited", "overloaded", "unavailable"})


class Colour(BaseModel):
    """An answer that nobody gives by chance: the question does not say that it is to be JSON."""

    model_config = ConfigDict(extra="forbid")

    colour_of_the_sky: Literal["blue", "grey", "another"]


class Counted(BaseModel):
    """An answer that does not fit into a few tokens."""

    model_config = ConfigDict(extra="forbid")

    numbers: list[int]


def try_model(settings: Settings) -> list[Finding]:
    """Return what one call brought, and a second one whose answer is to be cut."""
    with closing(LanguageModel(settings)) as model:
        return _try(model, settings)


def _try(model: LanguageModel, settings: Settings) -> list[Finding]:
    began = time.monotonic()
    try:
        answer = _ask(model, in_background=settings.llm_background)
    except CallFailed as failure:
        return [_failed(failure, settings)]
    seconds, cost = time.monotonic() - began, _cost(answer.cost_usd)
    text = f"{model.name} answered in {seconds:.1f} s, for {cost}"
    answered = Finding(severity="ok", subject="model", name="call", text=text)
    return [answered, *_try_to_cut(model, settings)]


def _ask(model: LanguageModel, *, in_background: bool) -> Answer:
    content = model.send(
        "Answer in one sentence.", "Which colour has the sky at noon?", Colour, background=in_background
    )
    if in_background:
        content = _awaited(model, content)
    return model.judge(content, Colour)


def _awaited(model: LanguageModel, content: bytes) -> bytes:
    """Return the finished response.

    Raises:
        CallFailed: the service does not work in the background, or not within the time of a call.
    """
    made = standing(content)
    if not made.pending and not _says_background(content):
        raise Configuration("background_unsupported")
    if not made.pending or not is_usable(made.response):
        return content
    ends, was_found = time.monotonic() + model.timeout, False
    while time.monotonic() < ends:
        Signal().wait(_PAUSE)
        try:
            content = model.retrieve(made.response, min(_LOOK_SECONDS, model.timeout))
        except Permanent:
            # A response that was made a moment ago may not be found yet.
            continue
        was_found = True
        if not standing(content).pending:
            return content
    raise Transient("timeout") if was_found else Configuration("background_unsupported")


def _says_background(content: bytes) -> bool:
    try:
        body: object = json.loads(content)
    except (ValueError, RecursionError):
        return False
    return isinstance(body, dict) and body.get("background") is True


def _try_to_cut(model: LanguageModel, settings: Settings) -> list[Finding]:
    """Return what is wrong with a cut answer; a service that does not cut it is as good."""
    try:
        content = model.send("Count from 1 to 300.", "Begin.", Counted, limit=_FEW_TOKENS)
        model.judge(content, Counted)
    except CallFailed as failure:
        if failure.reason == "truncated":
            return []
        if not is_unusable(failure):
            return [_failed(failure, settings, "could not be asked for a short answer", severity="warning")]
        text = f"reports an answer that was cut as a whole one ({failure.reason})"
        cure = f"{_other_form(settings)}: an answer that is cut is asked for again with a higher limit"
        return [Finding(severity="error", subject="model", name="cut", text=text, cure=cure)]
    return []


def _failed(
    failure: CallFailed, settings: Settings, what: str = "did not answer", *, severity: Severity | None = None
) -> Finding:
    cure = cure_of(failure.reason)
    if is_unusable(failure) and failure.reason != "truncated":
        what, cure = "does not follow the JSON schema of a call", _other_form(settings)
    paid = f", for {_cost(failure.data['cost_usd'])}" if "cost_usd" in failure.data else ""
    text = f"{settings.openai_model} {what}{paid}: {failure.reason}"
    severity = severity or ("warning" if failure.reason in _BUSY else "error")
    return Finding(severity=severity, subject="model", name="call", text=text, cure=cure)


def _other_form(settings: Settings) -> str:
    if settings.llm_flavour() == "responses" and not is_openai(settings.openai_base_url):
        return "set LLM_API=chat, or update the service"
    return "update the service, or choose another model"


def _cost(cost: object) -> str:
    return f"{digits_of(cost)} dollars" if isinstance(cost, int | float) else "an unknown price (LLM_PRICES)"
