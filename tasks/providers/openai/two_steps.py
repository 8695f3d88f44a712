"""Calls the language model in two steps: when a worker dies while it waits, there is no second call.

    first worker      create ──> checkpoint(id) ──> look ── look ── (killed)
    next worker                                                      look ── look ──> answer

The service makes the response in the background, also when no worker waits for it. A job with several
questions keeps the ids of all responses until it ends: the next attempt reads the finished ones for nothing.

An attempt pays once for each response: the first one that reads it reports it as paid, in its answer or with
its failure. What the answer cost to make holds the responses of earlier attempts too.
"""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, replace
from hashlib import sha256
from threading import Event as Signal
from typing import TYPE_CHECKING, Final

from askonce.errors import CallFailed, Permanent, Transient
from askonce.spend import Spend
from tasks.providers.openai.references import References, is_usable
from tasks.providers.openai.reply import standing

if TYPE_CHECKING:
    from collections.abc import Callable

    from pydantic import BaseModel

    from askonce.answer import Answer
    from askonce.attempt import Attempt
    from tasks.providers.openai.model import LanguageModel

#: Seconds between two looks: the first pause, its growth, the longest pause.
_PAUSE: Final = 0.5
_GROWTH: Final = 1.5
_LONGEST_PAUSE: Final = 5.0
#: Seconds for one look: the service answers it at once, or not at all.
_LOOK_SECONDS: Final = 10.0
_SHORTEST_LOOK: Final = 1.0
#: What this attempt paid for a response that was reported before.
_NOTHING: Final = Spend(calls=0, cost_usd=0.0)


def _pause(seconds: float) -> None:
    Signal().wait(seconds)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Question:
    instructions: str
    text: str
    schema: type[BaseModel]
    name: str


class TwoSteps:
    """Asks the questions of one attempt, one after the other, in one thread."""

    def __init__(
        self,
        model: LanguageModel,
        attempt: Attempt,
        *,
        wait: Callable[[float], None] = _pause,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Continue the questions of an earlier attempt of the same job."""
        self._model, self._attempt = model, attempt
        self._wait, self._clock = wait, clock
        self._references = References(attempt.reference)
        self._saved = attempt.reference
        self._read: set[str] = set()

    def __call__(self, *, instructions: str, text: str, schema: type[BaseModel]) -> Answer:
        """Return the answer, as ``LanguageModel.ask`` does, within its timeout.

        A response that this attempt has read before costs nothing: its counts are 0.

        Raises:
            CallFailed: after a ``timeout`` the next attempt continues with the same response. The caller adds
                the cost of the earlier questions of this attempt.
        """
        name = _digest(self._model.name, instructions, text, schema)
        try:
            return self._ask(_Question(instructions=instructions, text=text, schema=schema, name=name))
        except CallFailed as failure:
            # Unknown counts make the sum unknown. Then the prices of the other responses are not reported.
            if failure.data.get("usage") != {}:
                self._references.mark_reported(self._read)
            else:
                failure.data["reported_later"] = True
            self._save()
            raise

    def _ask(self, question: _Question) -> Answer:
        content = self._content(question)
        try:
            answer = self._model.judge(content, question.schema)
        except CallFailed:
            # The same response stays unusable, so the next attempt must create a new one.
            self._references.drop(question.name)
            raise
        kept = self._references.get(question.name)
        if kept is None:
            return answer
        if question.name in self._read:
            return replace(answer, usage=dict.fromkeys(answer.usage, 0), cost_usd=0.0, paid=_NOTHING)
        self._read.add(question.name)
        return replace(answer, paid=_NOTHING) if kept.reported else answer

    def _content(self, question: _Question) -> bytes:
        deadline = self._clock() + self._model.timeout
        kept = self._references.get(question.name)
        if kept is None:
            return self._create(question, deadline)
        content = self._look_until(deadline, kept.response)
        if content is not None:
            return content
        self._references.drop(question.name)
        self._read.discard(question.name)
        try:
            return self._create(question, deadline)
        except Transient as failure:
            # The missing response may have been paid too.
            failure.data["maybe_billed"] = True
            raise

    def _create(self, question: _Question, deadline: float) -> bytes:
        # Without room for its id no attempt can read it again, so the service need not keep it.
        kept = self._references.has_room()
        content = self._model.send(question.instructions, question.text, question.schema, background=kept)
        made = standing(content)
        if not kept or not is_usable(made.response):
            return content
        self._references.add(question.name, made.response)
        self._save()
        if not made.pending:
            return content
        self._wait(min(_PAUSE, max(0.0, deadline - self._clock())))
        found = self._look_until(deadline, made.response, own=True)
        assert found is not None
        return found

    def _look_until(self, deadline: float, response: str, *, own: bool = False) -> bytes | None:
        """Return the response when it is done, or None if the service does not have it.

        The service may not find a response of our *own* yet, because it was created a moment ago.
        """
        pause = _PAUSE
        while True:
            seen = self._look(response, deadline)
            if isinstance(seen, bytes):
                return seen
            if isinstance(seen, Permanent) and not own:
                return None
            retry_after = (seen.retry_after or 0.0) if isinstance(seen, Transient) else 0.0
            left = deadline - self._clock()
            if left <= 0 or retry_after > left:
                raise Transient("timeout", retry_after=retry_after or None, maybe_billed=True)
            self._wait(min(max(pause, retry_after), left))
            pause = min(pause * _GROWTH, _LONGEST_PAUSE)

    def _look(self, response: str, deadline: float) -> bytes | Transient | Permanent | None:
        """Return the response, the reason why it cannot be read, or None while the service works on it."""
        seconds = min(_LOOK_SECONDS, max(_SHORTEST_LOOK, deadline - self._clock()))
        try:
            content = self._model.retrieve(response, seconds)
        except (Transient, Permanent) as failure:
            return failure
        found = standing(content)
        # Another body, for example a gateway's page, is not the end of the response.
        return None if found.pending or found.response != response else content

    def _save(self) -> None:
        """Save the references for the next attempt: before waiting, and before a failure is raised."""
        text = str(self._references)
        if text != self._saved:
            self._attempt.checkpoint(text)
            self._saved = text


def _digest(model: str, instructions: str, text: str, schema: type[BaseModel]) -> str:
    question = json.dumps([model, instructions, text, schema.__name__, schema.model_json_schema()])
    return sha256(question.encode()).hexdigest()[:16]
