"""The task that a slot of the schedule is: an idempotent job, so that no two workers run one slot."""

from __future__ import annotations

from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, Any, Final

from askonce.adapters.celery.task import IdempotentTask
from askonce.adapters.celery.verdict import Verdict
from askonce.answer import Answer
from askonce.attempt import current_attempt
from askonce.errors import JobFailed, Postponed, StoreUnavailable
from askonce.schedule.ending import end, to_facts
from askonce.schedule.firing import Firing
from askonce.schedule.running import run_slot
from askonce.schedule.site import SLOT, Site
from askonce.schedules import Slot
from askonce.spend import NOTHING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from askonce.adapters.celery.app import AskOnce
    from askonce.runs import Fact
    from askonce.schedule.ending import How

#: Seconds: a worker of another deployment may have the entry.
_UNKNOWN_REST: Final = 60.0


class SlotTask(IdempotentTask):
    """A slot: its entry learns how it ended."""

    abstract = True

    def __call__(self, /, *args: Any, **kwargs: Any) -> Any:
        """Run the body if this message is the one that should."""
        try:
            ended = super().__call__(*args, **kwargs)
        except JobFailed as failed:
            self._end(kwargs, "failed", {"reason": failed.reason})
            raise
        if isinstance(ended, Verdict) and ended.result is not None:
            self._end(kwargs, "done", to_facts(ended.result.value))
        return ended

    def _end(self, payload: Mapping[str, str], how: How, facts: Mapping[str, Fact]) -> None:
        """End the slot, and enqueue the one that waited; where the store is away, a scheduler does both."""
        once = self.askonce
        entry = once.schedule.get(payload.get("entry", ""))
        if entry is None:
            return
        firing = firing_of(once)
        with suppress(StoreUnavailable, ValueError):
            slot = Slot.named(payload["slot"])
            begun = end(firing.store.schedules, entry, slot, how, facts, once.listen)
            if begun is not None:
                firing.send(entry.name, begun)


def register(once: AskOnce) -> None:
    """Make the task of the slots on the app of *once*, and let its beat fire them."""
    # Celery's own would fire nothing, and say so nowhere. An app that names another one has that.
    _fire_by_default(once.app)

    @once.app.task(name=SLOT.name, base=SlotTask, spec=SLOT, shared=False)
    def run(entry: str, slot: str) -> object:
        found = once.schedule.get(entry)
        if found is None:
            raise Postponed("unknown_entry", retry_after=_UNKNOWN_REST, ends_as="configuration")
        facts = run_slot(site_of(once), found, slot, current_attempt())
        # What the jobs of the slot paid is counted by each of them.
        return Answer(facts, calls=0, cost_usd=0.0, paid=NOTHING)


def _fire_by_default(app: Any) -> None:
    """Let the beat of *app* fire its slots, unless its settings name a scheduler."""

    def configure(**_: object) -> None:
        # The last of the maps are Celery's own defaults.
        if not any("beat_scheduler" in named for named in app.conf.maps[:-1]):
            app.conf.beat_scheduler = "askonce.adapters.celery.scheduler:Scheduler"

    if app.configured:
        configure()
    else:
        app.on_after_configure.connect(configure, weak=False)


def site_of(once: AskOnce) -> Site:
    """Return what the slots of *once* work on."""
    return Site(
        store=once.process().store,
        specs=once.specs,
        enqueue=once.enqueue,
        identify=once.identify,
        inputs_of_run=once.inputs_of_run,
        listen=once.listen,
    )


def firing_of(once: AskOnce) -> Firing:
    """Return what fires the slots of *once* from this process."""
    process = once.process()
    enqueue = partial(process.producer.enqueue, SLOT)
    return Firing(entries=once.schedule, store=process.store, spec=SLOT, enqueue=enqueue, listen=once.listen)
