"""Refuses to start a worker where jobs would be lost: what it stands on is checked before it takes any."""

from __future__ import annotations

import logging
import os
import sys
from typing import TYPE_CHECKING, Any

from celery.bootsteps import StartStopStep, Step

from askonce.adapters.celery.checks import check_broker, check_store, check_times, specs_of
from askonce.checks import REACHABLE, Finding, joined

if TYPE_CHECKING:
    from collections.abc import Callable

    from askonce.adapters.celery.app import AskOnce

log = logging.getLogger("askonce")


def check_start(once: AskOnce) -> list[Finding]:
    """Look at the store, the broker and the order of times of *once* and its app."""
    return [
        *check_store(once.process().store),
        *check_broker(once.app),
        *check_times(specs_of(once.app), once.app, reap_interval=once.reap_interval),
    ]


class StartUp:
    """One worker's checks: before anything starts, and at its first connection what was not reached then."""

    def __init__(self, check: Callable[[], list[Finding]]) -> None:
        """Take *check* as what to look at."""
        self._check, self._runs_left = check, 2
        self._told: set[Finding] = set()

    def run(self) -> None:
        """Log what a person should look at.

        Raises:
            SystemExit: with EX_CONFIG, after a line on stderr for each error. A server that cannot be reached
                is no error here: Celery waits for the broker, and messages wait for the store.
        """
        if not self._runs_left:
            return
        found = joined(each for each in self._check() if each.severity != "ok")
        unreachable = [each for each in found if each.name == REACHABLE]
        errors = [each for each in found if each.severity == "error" and each not in unreachable]
        for each in found:
            if each not in errors and each not in self._told:
                log.warning("start: %s%s", each.told, "; not checked" if each in unreachable else "")
        self._told.update(found)
        if errors:
            sys.stderr.writelines(f"{each}\n" for each in errors)
            raise SystemExit(os.EX_CONFIG)
        # Never on a later connection: the worker has jobs by then, and a failover shows strange roles.
        self._runs_left = self._runs_left - 1 if unreachable else 0


class CheckStep(Step):
    """Checks while the worker is put together: nothing has started that would have to be stopped."""

    def create(self, parent: Any) -> None:
        """End the worker on an error."""
        parent.app.askonce.start_up.run()


class CheckLaterStep(StartStopStep):
    """Checks what could not be reached, now that there is a broker; messages are taken after all steps."""

    requires = ("celery.worker.consumer.connection:Connection",)

    def start(self, parent: Any) -> None:
        """End the worker on an error."""
        parent.app.askonce.start_up.run()
