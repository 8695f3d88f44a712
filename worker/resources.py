"""What the task bodies of one process share: connections to the outside, built after a fork."""

from __future__ import annotations

import os
from dataclasses import dataclass
from threading import Lock
from typing import TYPE_CHECKING

from askonce.attempt import current_attempt
from tasks.catalog import CUSTOMERS_LOOKUP
from tasks.lookups.body import Customers
from tasks.providers.http import HttpLookup
from tasks.providers.openai.model import LanguageModel
from tasks.providers.openai.two_steps import TwoSteps

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from askonce.inline import Caller
    from askonce.spec import JobSpec
    from settings.environment import Settings
    from tasks.meetings.body import Ask


@dataclass(frozen=True, slots=True, kw_only=True)
class Resources:
    """The outside as task bodies use it."""

    model: LanguageModel
    http: HttpLookup
    customers: Customers
    max_input_chars: int
    in_background: bool

    def ask(self) -> Ask:
        """Return what asks the model in the attempt that this is called in."""
        return TwoSteps(self.model, current_attempt()) if self.in_background else self.model.ask


class PerProcess:
    """Builds Resources at the first use in each process: sockets must not cross a fork."""

    def __init__(
        self, settings: Settings, specs: Mapping[str, JobSpec], caller: Callable[[], Caller]
    ) -> None:
        """Build from *settings*; *caller* gives this process's way to make inner calls."""
        self._settings, self._specs, self._caller = settings, specs, caller
        self._built: Resources | None = None
        self._lock = Lock()
        os.register_at_fork(after_in_child=self._forget)

    def get(self) -> Resources:
        """Return this process's resources."""
        if self._built is None:
            with self._lock:
                self._built = self._built or self._build()
        return self._built

    def _build(self) -> Resources:
        http = HttpLookup(self._settings)
        return Resources(
            model=LanguageModel(self._settings),
            http=http,
            customers=Customers(self._caller(), http, self._specs[CUSTOMERS_LOOKUP]),
            max_input_chars=self._settings.llm_max_input_chars,
            in_background=self._settings.llm_background,
        )

    def _forget(self) -> None:
        self._built, self._lock = None, Lock()
