"""The model service without its connections: what it answers to a question.

question ─> down? key? credit? model? ─> rate ─> by name? ─> slot ─> held, latency ─> answer
            └────────── refusal ───────────┘      script
"""

import json
import time
from dataclasses import dataclass, replace
from http import HTTPStatus

from sandbox.outside import extractive, openai_wire, refusals, ways
from sandbox.outside.answers import Answer
from sandbox.outside.background import Responses
from sandbox.outside.controls import Controls, luck
from sandbox.outside.ledger import Call
from sandbox.outside.limits import Bucket, HasLeft, Slots, wish
from sandbox.outside.openai_wire import Question, Reply
from sandbox.outside.script import Script

_KIND_SEED = 1_000_003  # another seed: the kind of a failure must not depend on the draw that made it fail


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A question that came, and what was decided at once.

    Attributes:
        path: The path of its form.
        question: The question.
        refusal: Why it is not answered.
        answer: The answer by name that it gets.
        limits: The headers about the rate.
    """

    path: str
    question: Question
    refusal: Reply | None = None
    answer: Answer | None = None
    limits: dict[str, str]

    @property
    def is_made_later(self) -> bool:
        """Whether its answer is made in the background."""
        if not self.question.background or self.refusal is not None:
            return False
        by_name = self.answer
        return by_name is None or (by_name.status == HTTPStatus.OK and not by_name.way)


class Model:
    """One model service."""

    def __init__(self, *, controls: Controls, script: Script, name: str) -> None:
        self._controls, self._script = controls, script
        self._bucket, self.slots = Bucket(), Slots()
        self.responses = Responses()
        #: The name of the model in its replies.
        self.name = name

    def ask(self, authorization: str | None, path: str, question: Question) -> Asked:
        """Decide at once what does not need a slot."""
        settings = self._controls.settings
        refusal = self.refusal(authorization) or refusals.unknown_model(question.model, settings)
        limits: dict[str, str] = {}
        if refusal is None:
            refusal, limits = self._within_rate()
        answer = None if refusal else self._script.next_for(question.text, settings.script)
        return Asked(path=path, question=question, refusal=refusal, answer=answer, limits=limits)

    def refusal(self, authorization: str | None) -> Reply | None:
        """Return what any question gets: while the service is down, with a wrong key, without credit."""
        settings = self._controls.settings
        return self._closed(authorization) or refusals.no_credit(authorization, settings)

    def look(self, authorization: str | None, method: str, path: list[str]) -> Reply:
        """Reply to a request that is no question: for a list of models, or for a kept response."""
        settings = self._controls.settings
        names = settings.llm_models or [self.name]
        match path:
            case ["responses", response] if response:
                return self.refusal(authorization) or self.responses.retrieve(response)
            case _ if closed := self._closed(authorization):
                return closed
            case ["models"] if settings.llm_lists_models:
                return refusals.models(names)
            case ["models", *name] if settings.llm_lists_models:
                return refusals.one_model("/".join(name), names)
        return refusals.no_such_path(method, "/".join(["/v1", *path]))

    def answer(self, asked: Asked, call: Call, has_left: HasLeft = lambda: False) -> Reply:
        """Make the reply to a question, as soon as it gets a slot.

        Raises:
            ClientLeft: the client left a service that has slots, which then makes no answer.
        """
        if asked.refusal is not None:
            return asked.refusal
        with self.slots.one(lambda: self._controls.settings.llm_slots, has_left):
            stops = has_left if self._controls.settings.llm_slots else None
            succeeds = self._controls.let_through(call, stops)
            if asked.answer is not None:
                return self._by_name(asked, asked.answer)
            return self._ordinary(asked, call) if succeeds else _overloaded(call)

    def dressed(self, reply: Reply, asked: Asked | None = None) -> Reply:
        """Add the headers that a service sends with every reply, unless the reply is to be sent as it is."""
        if reply.content is not None:
            return reply
        settings, limits = self._controls.settings, {}
        if settings.llm_rate_headers:
            limits = openai_wire.headers_of_no_limit(reply.input_tokens)
            if settings.llm_requests_per_second:
                limits = asked.limits if asked else {}
        return replace(reply, headers={**openai_wire.own_headers(), **limits, **reply.headers})

    def _closed(self, authorization: str | None) -> Reply | None:
        settings = self._controls.settings
        return refusals.outage(settings) or refusals.wrong_key(authorization, settings)

    def _within_rate(self) -> tuple[Reply | None, dict[str, str]]:
        settings = self._controls.settings
        if not settings.llm_requests_per_second:
            return None, {}
        allowed = self._bucket.take(settings.llm_requests_per_second, settings.llm_burst)
        if not allowed.wait:
            return None, allowed.headers
        headers = wish(settings.llm_retry_after, allowed.wait)
        message = "Rate limit reached for requests."
        refusal = openai_wire.refused(429, message, "requests", "rate_limit_exceeded", headers=headers)
        return refusal, allowed.headers

    def _ordinary(self, asked: Asked, call: Call) -> Reply:
        if self._controls.breaks(call):
            message = "The server had an error while processing your request."
            return openai_wire.refused(500, message, "server_error", headers=wish("seconds", 1))
        text = _text_for(asked.question)
        if self._controls.malforms(call):
            text = text[: len(text) // 2]
        return self._saying(asked, text, self._controls.reasons_for(call))

    def _by_name(self, asked: Asked, answer: Answer) -> Reply:
        ordinary = _text_for(asked.question)
        if answer.text is not None:
            reply = self._saying(asked, answer.said(ordinary))
            return replace(reply, status=answer.status, headers=answer.headers_at(time.time()))
        content = ways.bomb() if answer.way == ways.BOMB else answer.content(ordinary)
        paid = answer.status == HTTPStatus.OK
        return Reply(
            status=answer.status,
            body=_object_in(content) if asked.question.background else {},
            content=content,
            headers=answer.headers_at(time.time()),
            way="" if answer.way == ways.BOMB else answer.way,
            input_tokens=asked.question.tokens if paid else 0,
            output_tokens=openai_wire.tokens_of(ordinary) if paid else 0,
        )

    def _saying(self, asked: Asked, text: str, reasoning: int = 0) -> Reply:
        now = int(time.time())
        return openai_wire.answered(
            asked.path, asked.question, text, now, model=self.name, reasoning=reasoning
        )


def _object_in(content: bytes) -> dict[str, object]:
    try:
        body = json.loads(content)
    except (ValueError, RecursionError):
        return {}
    return body if isinstance(body, dict) else {}


def _text_for(question: Question) -> str:
    found = extractive.answer(question.text, question.schema)
    return found if isinstance(found, str) else json.dumps(found, ensure_ascii=False)


def _overloaded(call: Call) -> Reply:
    headers = {"Retry-After": "1"}
    if luck(_KIND_SEED, call) < 0.5:  # noqa: PLR2004 # both are equally likely
        message = "Rate limit reached for requests."
        return openai_wire.refused(429, message, "requests", "rate_limit_exceeded", headers=headers)
    message = "The server is overloaded or not ready yet."
    return openai_wire.refused(503, message, "server_error", headers=headers)
