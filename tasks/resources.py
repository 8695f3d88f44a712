"""What a worker process gives to the task bodies: the clients of the services, and their limits.

This is the one place where clients are built. Producers never load it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from askonce.attempt import current_attempt
from tasks.providers.customers import Customers
from tasks.providers.http import HttpLookup
from tasks.providers.openai.model import LanguageModel
from tasks.providers.openai.two_steps import TwoSteps

if TYPE_CHECKING:
    from pydantic import BaseModel

    from askonce.answer import Answer
    from askonce.inline import Caller
    from askonce.spec import JobSpec
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
    max_input_chars: int
    in_background: bool

    def ask(self) -> Ask:
        """Return the function that asks the model in the current attempt."""
        return TwoSteps(self.model, current_attempt()) if self.in_background else self.model.ask


def new_resources(settings: Settings, caller: Caller, customers: JobSpec) -> Resources:
    """Build the clients of one process; *customers* are the terms of a look-up that *caller* makes."""
    return Resources(
        model=LanguageModel(settings),
        customers=Customers(caller, HttpLookup(settings), customers),
        max_input_chars=settings.llm_max_input_chars,
        in_background=settings.llm_background,
    )
