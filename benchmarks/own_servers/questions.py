"""Asks one server one question with the project's own client, and tells what became of it."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr

from askonce.attempt import Attempt
from askonce.errors import CallFailed
from askonce.job import JobId, Key
from settings.environment import Settings
from tasks.providers.openai.model import LanguageModel
from tasks.providers.openai.two_steps import TwoSteps

if TYPE_CHECKING:
    from collections.abc import Callable

    from askonce.answer import Answer

Form = Literal["chat", "responses"]
FORMS: Final[tuple[Form, ...]] = ("chat", "responses")
_INSTRUCTIONS: Final = "Read the meeting. Answer with JSON only."
_TEXT: Final = "Ana: We decided to ship on Monday. Ben: I will write the notes."


class _Strict(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Small(_Strict):
    """A question that a grammar can force: an answer of any model fits."""

    summary: str
    label: Literal["positive", "negative"]
    owner: str | None


class Ranged(_Strict):
    """A question with a number range, which a grammar may leave out."""

    score: Annotated[float, Field(ge=-1, le=1)]


class Long(_Strict):
    """A question whose answer takes seconds."""

    points: Annotated[list[str], Field(min_length=300)]


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """What is asked, and with which variables."""

    asked: str
    form: Form
    #: None: as the server has it.
    model: str | None = None
    key: str | None = None
    schema: type[BaseModel] = Small
    text: str = _TEXT
    #: After the address.
    path: str = "/v1"
    timeout: float = 30.0
    background: bool = False


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the project made of it."""

    #: ``Answer``, or the class of the failure and its reason.
    words: str
    seconds: float


def ask(question: Question, *, url: str, model: str, key: str) -> Verdict:
    """Ask the server at *url*, and return what the project makes of its answer."""
    client = LanguageModel(
        Settings(
            _env_file=None,
            openai_base_url=url + question.path,
            openai_api_key=SecretStr(question.key or key),
            openai_model=question.model or model,
            llm_api=question.form,
            llm_timeout=question.timeout,
            llm_background=question.background,
        )
    )
    began = time.monotonic()
    try:
        answer = _asker(client, question)(
            instructions=_INSTRUCTIONS, text=question.text, schema=question.schema
        )
    except CallFailed as failure:
        words = _failed(failure)
    else:
        words = f"Answer, tokens {dict(answer.usage)}, cost {answer.cost_usd}"
    return Verdict(words, time.monotonic() - began)


def _asker(client: LanguageModel, question: Question) -> Callable[..., Answer]:
    if not question.background:
        return client.ask
    nothing = "k" * 16
    attempt = Attempt(
        key=Key(nothing),
        job=JobId(nothing),
        number=1,
        fence=1,
        stale=None,
        reference="",
        checkpoint=lambda _: None,
    )
    return TwoSteps(client, attempt)


def _failed(failure: CallFailed) -> str:
    kept = {name: failure.data[name] for name in ("retry_after", "maybe_billed") if failure.data.get(name)}
    paid = f" tokens {failure.data['usage']}" if failure.data.get("usage") else ""
    return f"{type(failure).__name__} {failure.reason}{f' {kept}' if kept else ''}{paid}"
