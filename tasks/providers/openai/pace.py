"""Paces the calls to one language model, together with all other processes that use the same account."""

from __future__ import annotations

import time
from functools import partial
from hashlib import sha256
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from askonce.attempt import current_attempt
from askonce.errors import WAITING_FOR_TURN, Postponed
from askonce.events import ignore
from askonce.pace import Pace, Provider
from settings.environment import OPENAI_URL, SettingsInvalid, is_openai
from tasks.reasons import cure_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from askonce.board import Boards
    from askonce.events import Listener
    from settings.environment import Settings

#: Calls at once of a service that says what it accepts, before it has said so.
_FIRST_OF_OPENAI: Final = 16.0
#: The same of a server of one's own: it may have few slots, and a call that waits for one costs its own time.
_FIRST: Final = 4.0
#: Answers in a row that cannot be used, after which a task and model stop.
_UNUSABLE: Final = 20
#: Seconds: no call begins so long after a pause of its job.
SOON: Final = 0.5


class ModelPace:
    """The pace of one model: of its calls, and of each task whose answers may all be unusable."""

    def __init__(
        self,
        settings: Settings,
        boards: Boards,
        *,
        listen: Listener = ignore,
        clock: Callable[[], float] = time.monotonic,
        is_ending: Callable[[], bool] = lambda: False,
        is_paused: Callable[[], bool] = lambda: False,
    ) -> None:
        """Share the boards of the service, model and account that *settings* name.

        Once *is_ending*, no call waits for its turn any more. *is_paused* returns whether a pause holds back
        the job of the current attempt.
        """
        self._is_paused = is_paused
        self._new_pace = partial(Pace, boards, listen=listen, clock=clock, is_ending=is_ending)
        self._board, self._subject = _account(settings), subject_of(settings)
        most = settings.llm_max_requests_per_minute
        first = _FIRST_OF_OPENAI if is_openai(settings.openai_base_url) else _FIRST
        self.calls = self._new(self._board, first=first, ceiling=most / 60 if most else None)
        self._answers: dict[str, Pace] = {}

    def answers(self, task: str) -> Pace:
        """Return the pace of *task*'s answers: its calls are counted, and stop where none can be used."""
        if task not in self._answers:
            new = self._new(f"{self._board}:{task}", first=1e9, few=_UNUSABLE, is_fixed=True)
            self._answers.setdefault(task, new)
        return self._answers[task]

    def begin(self, task: str) -> Callable[[], None]:
        """Return what a call of *task* looks for when it has its turn, which it waits for from now on.

        While it waited, the answers of others may have been unusable, or somebody paused its job: both raise
        ``Postponed``, and nothing was paid.
        """
        answers, began = self.answers(task), time.monotonic()

        def look() -> None:
            answers.look()
            # The store looked at the start of the job: early enough for a call that begins at once.
            if time.monotonic() - began > SOON and self._is_paused():
                raise Postponed(WAITING_FOR_TURN, retry_after=SOON)

        return look

    def get(self) -> str | None:
        """Return the form of answer that a process found for this service."""
        return self.calls.state.remembered.get("form")

    def set(self, form: str) -> None:
        """Let all processes know the *form* of answer that the service takes."""
        self.calls.remember("form", form)

    def _new(
        self,
        board: str,
        *,
        first: float,
        ceiling: float | None = None,
        few: int = 3,
        is_fixed: bool = False,
    ) -> Pace:
        provider = Provider(
            board=board,
            subject=self._subject,
            first=first,
            ceiling=ceiling,
            few=few,
            is_fixed=is_fixed,
            cure_of=cure_of,
        )
        return self._new_pace(provider)


def subject_of(settings: Settings) -> str:
    """Return host and model, for people."""
    host = urlsplit(settings.openai_base_url or OPENAI_URL).netloc.rpartition("@")[2]
    return f"{host} {settings.openai_model}"


def job_of_attempt() -> str:
    """Return the job that this code runs for; empty outside of one."""
    try:
        return current_attempt().job
    except LookupError:
        return ""


def _account(settings: Settings) -> str:
    """Return a name of service, model and account that tells none of them."""
    try:
        key = settings.openai_key() or ""
    except SettingsInvalid:
        key = ""
    named = "\n".join((settings.openai_base_url or OPENAI_URL, settings.openai_model, key))
    return sha256(named.encode()).hexdigest()[:16]
