"""Celery's scheduler, which fires the slots of the app's own schedule too: ``celery -A APP beat``.

Any number of them may run. An app with a schedule has it, unless its ``beat_scheduler`` names another one.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from celery.beat import PersistentScheduler

from askonce.adapters.celery.slot_task import firing_of
from askonce.adapters.celery.startup import refuse

if TYPE_CHECKING:
    from askonce.schedule.firing import Firing


class Scheduler(PersistentScheduler):
    """Sends Celery's own entries as ever, and the slots of ``AskOnce(app, schedule=...)``."""

    _firing: Firing | None = None

    def setup_schedule(self) -> None:
        """Read both schedules; end the process with a line for each entry that cannot work."""
        super().setup_schedule()
        once: Any = getattr(self.app, "askonce", None)
        if once is None or not once.schedule:
            return
        refuse(once.check_schedule())
        self._firing = firing_of(once)

    def tick(self, *arguments: Any, **options: Any) -> float:
        """Send what is due; return the seconds until the next tick."""
        seconds = float(super().tick(*arguments, **options))
        return seconds if self._firing is None else min(seconds, self._firing.tick())
