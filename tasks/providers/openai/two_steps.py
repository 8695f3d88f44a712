"""Asks the language model in two steps, so that a worker that dies while it waits costs no second call.

    first worker      create ──> checkpoint(id) ──> look ── look ── (killed)
    the next one                                                     look ── look ──> answer

The service makes the response in the background, whoever waits for it. Where a job asks several
questions, the ids of all stay until it ends: the next attempt looks the finished ones up for nothing.

What is paid is told once: by the attempt that reads the response, in its answer or with its failure.
"""

from __future__ import annotations

import json
import time
from dataclasses import dataclass, replace
from hashlib import sha256
from threading import Event as Signal
from typing import TYPE_CHECKING, Final

from askonce.errors import CallFailed, Permanent, Transient
from tasks.providers.openai.references import References, is_usable
from tasks.providers.openai.reply import standing

if TYPE_CHECKING:
    from collections.abc import Callable

    from pydantic import BaseModel

    from askonce.answer import Answer
    from askonce.attempt import Attempt
    from tasks.providers.openai.model import LanguageModel

#: Seconds between two looks: the first pause, how it grows, the longest.
_PAUSE: Final = 0.5
_GROWTH: Final = 1.5
_LONGEST_PAUSE: Final = 5.0
#: A look is answered at once, or by nobody.
_LOOK_SECONDS: Final = 10.0
_SHORTEST_LOOK: Final = 1.0


def _pause(seconds: float) -> None:
    Signal().wait(seconds)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Question:
    instructions: str
    text: str
    schema: type[BaseModel]
    name: str


class TwoSteps:
    """Asks the questions of one attempt; one after the other, in one thread."""

    def __init__(
        self,
        model: LanguageModel,
        attempt: Attempt,
        *,
        wait: Callable[[float], None] = _pause,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Go on with what an earlier attempt of the same job has asked."""
        self._model, self._attempt = model, attempt
        self._wait, self._clock = wait, clock
        self._references = References(attempt.reference)
        self._noted = attempt.reference
        self._read: set[str] = set()

    def __call__(self, *, instructions: str, text: str, schema: type[BaseModel]) -> Answer:
        """Return the answer, as ``LanguageModel.ask`` does, within its timeout.

        A response that was read before costs nothing: its counts are 0.

        Raises:
            CallFailed: ``timeout`` leaves the response under way, for the next attempt to go on with.
                Whoever catches it adds what the earlier questions of this attempt cost.
        """
        name = _digest(self._model.name, instructions, text, schema)
        try:
            return self._ask(_Question(instructions=instructions, text=text, schema=schema, name=name))
        except CallFailed as failure:
            # Counts that are unknown here make the sum unknown: then nothing was told of the others.
            if failure.data.get("usage") != {}:
                self._references.tell(self._read)
            self._note()
            raise

    def _ask(self, question: _Question) -> Answer:
        content = self._content(question)
        try:
            answer = self._model.judge(content, question.schema)
        except CallFailed:
            # An answer that is of no use now is none later: the next attempt must ask anew.
            self._references.drop(question.name)
            raise
        kept = self._references.get(question.name)
        if kept is None:
            return answer
        again = kept.told or question.name in self._read
        self._read.add(question.name)
        return _for_nothing(answer) if again else answer

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
            # The one that is gone may have been paid too.
            failure.data["maybe_billed"] = True
            raise

    def _create(self, question: _Question, deadline: float) -> bytes:
        # What nobody can come back for need not be kept by the service either.
        kept = self._references.has_room()
        content = self._model.send(question.instructions, question.text, question.schema, background=kept)
        made = standing(content)
        if not kept or not is_usable(made.response):
            return content
        self._references.add(question.name, made.response)
        self._note()
        if not made.pending:
            return content
        self._wait(min(_PAUSE, max(0.0, deadline - self._clock())))
        found = self._look_until(deadline, made.response, own=True)
        assert found is not None
        return found

    def _look_until(self, deadline: float, response: str, *, own: bool = False) -> bytes | None:
        """Return the response when it is done, or None if there is none.

        One of our *own*, created a moment ago, is there: a service that does not find it will.
        """
        pause = _PAUSE
        while True:
            seen = self._look(response, deadline)
            if isinstance(seen, bytes):
                return seen
            if isinstance(seen, Permanent) and not own:
                return None
            wish = (seen.retry_after or 0.0) if isinstance(seen, Transient) else 0.0
            left = deadline - self._clock()
            if left <= 0 or wish > left:
                raise Transient("timeout", retry_after=wish or None, maybe_billed=True)
            self._wait(min(max(pause, wish), left))
            pause = min(pause * _GROWTH, _LONGEST_PAUSE)

    def _look(self, response: str, deadline: float) -> bytes | Transient | Permanent | None:
        """Return the response, why there is none to see, or None while it is under way."""
        seconds = min(_LOOK_SECONDS, max(_SHORTEST_LOOK, deadline - self._clock()))
        try:
            content = self._model.retrieve(response, seconds)
        except (Transient, Permanent) as failure:
            return failure
        found = standing(content)
        # A body of something else, a gateway's page say, is no end of the response.
        return None if found.pending or found.response != response else content

    def _note(self) -> None:
        """Keep what is known; before waiting, and before a failure is told."""
        text = str(self._references)
        if text != self._noted:
            self._attempt.checkpoint(text)
            self._noted = text


def _digest(model: str, instructions: str, text: str, schema: type[BaseModel]) -> str:
    asked = json.dumps([model, instructions, text, schema.__name__, schema.model_json_schema()])
    return sha256(asked.encode()).hexdigest()[:16]


def _for_nothing(answer: Answer) -> Answer:
    return replace(answer, usage=dict.fromkeys(answer.usage, 0), cost_usd=0.0)
