"""Calls the language model in two steps: when a worker dies while it waits, there is no second call.

    first worker      create ──> checkpoint(id) ──> look ── look ── (killed)
    next worker                                                      look ── look ──> answer

The service makes the response in the background, also when no worker waits for it. A job asks one question.
The reference in its record has the id of the response. The attempt that reads the response pays for it. An
answer that cannot be used is asked for a second time, in a second response (``twice.py``).
"""

from __future__ import annotations

import re
import time
from functools import partial
from threading import Event as Signal
from typing import TYPE_CHECKING, Final

from askonce.errors import CallFailed, Configuration, Permanent, Postponed, Transient
from tasks.providers.failures import as_attempt
from tasks.providers.openai.failures import refusal_in
from tasks.providers.openai.reply import standing
from tasks.providers.openai.twice import Note, ask_twice, is_unusable

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
#: An id becomes part of a URL's path, and every reply of the store carries it. A proxy before the service may
#: pack its own routes into the id: LiteLLM's have 477 characters.
_ID: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.:=-]{0,1023}")


def _pause(seconds: float) -> None:
    Signal().wait(seconds)


def is_usable(response: str) -> bool:
    """Return whether an id can be kept and retrieved."""
    return _ID.fullmatch(response) is not None


class TwoSteps:
    """Asks the one question of a job, in one thread."""

    def __init__(
        self,
        model: LanguageModel,
        attempt: Attempt,
        *,
        wait: Callable[[float], None] = _pause,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Continue with the response of an earlier attempt of the same job, where it left one."""
        self._model, self._attempt = model, attempt
        self._wait, self._clock = wait, clock

    def __call__(self, *, instructions: str, text: str, schema: type[BaseModel]) -> Answer:
        """Return the answer, as ``LanguageModel.ask`` does, within its timeout.

        Raises:
            CallFailed: after a ``timeout`` the next attempt continues with the same response.
        """
        note = Note(self._attempt, self._model.name, instructions, text, schema.__name__)
        create = partial(self._model.send, instructions, text, schema, background=True)

        def judge(content: bytes) -> Answer:
            if (refusal := refusal_in(content)) is not None:
                note.keep("")
                raise self._model.told(refusal)
            try:
                return self._model.judge(content, schema)
            except CallFailed as failure:
                if not is_unusable(failure):
                    # The same response stays as it is, so the next attempt must create a new one.
                    note.keep("")
                raise

        def once(limit: int | None) -> Answer:
            return self._model.counted(
                schema, lambda: judge(self._content(note, partial(create, limit=limit)))
            )

        return ask_twice(once, note=note, most=self._model.most_output, clock=self._clock)

    def _content(self, note: Note, create: Callable[[], bytes]) -> bytes:
        deadline = self._clock() + self._model.timeout
        if not is_usable(note.response):
            return self._create(note, create, deadline)
        content = self._look_until(deadline, note.response)
        if content is not None:
            note.go_on()
            return content
        note.keep("")
        try:
            return self._create(note, create, deadline)
        except (Transient, Postponed) as failure:
            # The missing response may have been paid too.
            attempted = as_attempt(failure)
            attempted.data["maybe_billed"] = True
            raise attempted from None

    def _create(self, note: Note, create: Callable[[], bytes], deadline: float) -> bytes:
        content = create()
        made = standing(content)
        if not is_usable(made.response):
            return content
        # Before anybody waits for it.
        note.keep(made.response)
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
            retry_after = (seen.retry_after or 0.0) if isinstance(seen, Transient | Postponed) else 0.0
            left = deadline - self._clock()
            if left <= 0 or retry_after > left:
                raise Transient("timeout", retry_after=retry_after or None, maybe_billed=True)
            self._wait(min(max(pause, retry_after), left))
            pause = min(pause * _GROWTH, _LONGEST_PAUSE)

    def _look(self, response: str, deadline: float) -> bytes | Transient | Postponed | Permanent | None:
        """Return the response, the reason why it cannot be read, or None while the service works on it."""
        seconds = min(_LOOK_SECONDS, max(_SHORTEST_LOOK, deadline - self._clock()))
        try:
            content = self._model.retrieve(response, seconds)
        except (Transient, Postponed, Permanent) as failure:
            return failure
        except Configuration as failure:
            trouble = failure
        else:
            return _done(content)
        # The response is there after the cure, so the job waits for that.
        raise self._model.told(trouble)


def _done(content: bytes) -> bytes | None:
    """Return the body of a response that has ended; None for any other."""
    found = standing(content)
    # Another body, for example a gateway's page, is not the end of the response. Its id says nothing: a
    # proxy may pack its routes into a new one for each reply, as LiteLLM does.
    return None if found.pending or not found.response else content
