"""Refuses to start a worker where jobs would be lost: checks run before it takes any."""

from __future__ import annotations

import logging
import os
import sys
from typing import TYPE_CHECKING, Any

from celery.bootsteps import StartStopStep, Step

from askonce.adapters.celery.checks import check_options, limits_of
from askonce.checks import REACHABLE, Finding, joined

if TYPE_CHECKING:
    from collections.abc import Callable

log = logging.getLogger("askonce")


class StartUp:
    """One worker's checks: before its start, and at its first connection if a server was unreachable."""

    def __init__(self, check: Callable[[], list[Finding]]) -> None:
        """Take *check* as what to look at."""
        self._check, self._runs_left = check, 2
        self._logged: set[Finding] = set()

    def run(self) -> None:
        """Log what an operator should look at.

        Raises:
            SystemExit: with EX_CONFIG, after a line on stderr for each error. An unreachable server is no
                error here: Celery waits for the broker, and messages wait for the store.
        """
        if not self._runs_left:
            return
        found = joined(each for each in self._check() if each.severity != "ok")
        unreachable = [each for each in found if each.name == REACHABLE]
        errors = [each for each in found if each.severity == "error" and each not in unreachable]
        for each in found:
            if each not in errors and each not in self._logged:
                log.warning("start: %s%s", each.line, "; not checked" if each in unreachable else "")
        self._logged.update(found)
        refuse(errors)
        # Never on a later connection: the worker has jobs by then, and a failover shows strange roles.
        self._runs_left = self._runs_left - 1 if unreachable else 0


class CheckStep(Step):
    """Checks while the worker is built: nothing has started that would have to be stopped."""

    def create(self, parent: Any) -> None:
        """End the worker on an error."""
        limits = limits_of(parent)
        refuse(check_options(parent, limits))
        # The checks, and monitors, read a worker's limits in its settings.
        parent.app.conf.update(limits)
        parent.app.askonce.start_up.run()


def refuse(errors: list[Finding]) -> None:
    """End the process where there are *errors*, after a line for each on stderr, and in the log's file."""
    if not errors:
        return
    sys.stderr.writelines(f"{each}\n" for each in errors)
    # A detached worker has no stderr.
    if any(isinstance(handler, logging.FileHandler) for handler in logging.getLogger().handlers):
        for each in errors:
            log.error("start: %s", each.line)
    raise SystemExit(os.EX_CONFIG)


class CheckLaterStep(StartStopStep):
    """Checks again, now that there is a broker; the worker takes messages after all steps."""

    requires = ("celery.worker.consumer.connection:Connection",)

    def start(self, parent: Any) -> None:
        """End the worker on an error."""
        parent.app.askonce.start_up.run()
