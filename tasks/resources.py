"""What a worker process gives to the task bodies: the clients of the services, and their limits.

This is the one place where clients are built. Producers never load it.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Protocol

from askonce.attempt import current_attempt
from askonce.errors import StoreUnavailable
from tasks.providers.customers import Customers
from tasks.providers.http import HttpLookup
from tasks.providers.openai.model import LanguageModel
from tasks.providers.openai.pace import ModelPace
from tasks.providers.openai.two_steps import TwoSteps

if TYPE_CHECKING:
    from collections.abc import Callable

    from pydantic import BaseModel

    from askonce.answer import Answer
    from askonce.inline import Caller
    from askonce.spec import JobSpec
    from askonce.store import Store
    from settings.environment import Settings


class Ask(Protocol):
    """One question to a language model."""

    def __call__(self, *, instructions: str, text: str, schema: type[BaseModel]) -> Answer:
        """Return data of the given *schema*.

        Raises:
            CallFailed: the model gave no such data.
        """


@dataclass(frozen=True, slots=True, kw_only=True)
class Resources:
    """The services as task bodies use them."""

    model: LanguageModel
    customers: Customers
    #: Calls the parts of long transcripts, on the terms of *part*.
    caller: Caller
    part: JobSpec
    max_input_chars: int
    in_background: bool
    #: Seconds from which on an attempt begins no other part.
    slot_seconds: float

    def ask(self) -> Ask:
        """Return the function that asks the model in the current attempt."""
        attempt = current_attempt()
        return (
            TwoSteps(self.model, attempt) if self.in_background else partial(self.model.ask, attempt=attempt)
        )


def new_resources(
    settings: Settings,
    caller: Caller,
    *,
    customers: JobSpec,
    part: JobSpec,
    is_ending: Callable[[], bool],
) -> Resources:
    """Build the clients of one process.

    *customers* are the terms of a look-up, and *part* those of a part of a transcript, that *caller* makes.
    Once the worker *is_ending*, jobs that wait for a turn are given back.
    """
    executor = caller.runner.executor
    pace = ModelPace(
        settings,
        executor.store.boards,
        listen=executor.listen,
        is_ending=is_ending,
        is_paused=partial(is_paused, executor.store),
    )
    return Resources(
        model=LanguageModel(settings, pace=pace),
        customers=Customers(caller, HttpLookup(settings), customers),
        caller=caller,
        part=part,
        max_input_chars=settings.llm_max_input_chars,
        in_background=settings.llm_background,
        slot_seconds=settings.llm_timeout,
    )


def is_paused(store: Store) -> bool:
    """Return whether a pause holds back the job of the current attempt; False where that cannot be known."""
    try:
        return store.read([current_attempt().key])[0].paused is not None
    except (LookupError, StoreUnavailable):
        return False
