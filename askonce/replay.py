"""Enqueues a dead job again: for a person, and for a schedule."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol

import orjson

from askonce.errors import JobError, LayoutNewer, SendFailed, StoreUnavailable
from askonce.outcomes import Admitted

if TYPE_CHECKING:
    from collections.abc import Mapping

    from askonce.job import Job
    from askonce.letters import DeadJob
    from askonce.outcomes import Outcome
    from askonce.spec import JobSpec
    from askonce.store import Store


class Replayed(NamedTuple):
    """What a replay did, in words, and whether the job left the list of dead letters."""

    words: str
    ok: bool
    #: None where nothing was enqueued, or the message was not sent.
    outcome: Outcome | None = None


class App(Protocol):
    """An application whose jobs may be dead."""

    @property
    def specs(self) -> Mapping[str, JobSpec]:
        """The terms of each task, by its name."""

    @property
    def store(self) -> Store:
        """Where the records are."""

    def enqueue(self, task: str, payload: Mapping[str, object], **options: object) -> Outcome:
        """Enqueue *payload* for *task*; options and errors as ``Producer.enqueue``."""


def replay(app: App, dead: DeadJob, **chosen: object) -> Replayed:
    """Enqueue *dead*, which has its payload, again; *chosen* are options beside those of its first message.

    Raises:
        StoreUnavailable: nothing was enqueued.
    """
    job = dead.job
    if job.task not in app.specs:
        return Replayed("unknown task", ok=False)
    try:
        payload = orjson.loads(job.payload)
        # Forced, because the stored failure would answer. It attaches to an equal job in flight.
        outcome = app.enqueue(job.task, payload, force=True, **as_first(job), **chosen)
    except SendFailed:
        return Replayed("admitted, but not sent; a worker sends it after the queue deadline", ok=True)
    except StoreUnavailable:
        raise
    except (JobError, orjson.JSONDecodeError) as exc:
        return Replayed(f"refused: {exc}", ok=False)
    if outcome.key != job.key and isinstance(outcome, Admitted):
        # A new version of the task gives the payload a new key. The new job replaces the old one.
        refused = forget(app, job)
        words = "; ".join(filter(None, (f"admitted as {outcome.key}", refused)))
        return Replayed(words, not refused, outcome)
    return Replayed(type(outcome).__name__.lower(), outcome.key == job.key, outcome)


def forget(app: App, job: Job) -> str:
    """Forget what is kept under the key of *job*; return why the store does not, empty where it does."""
    try:
        app.store.invalidate(job.key)
    except LayoutNewer as exc:
        # It concerns this job alone, not those after it.
        return f"refused: {exc}"
    return ""


def as_first(job: Job) -> dict[str, object]:
    """Return the options by which *job* goes where its first message went."""
    routing = job.routing
    options = {
        "tenant": job.tenant,
        "run": job.run,
        "queue": routing.queue or None,
        "priority": routing.priority,
        "headers": orjson.loads(routing.headers) if routing.headers else None,
        "time_limit": routing.time_limit,
        "soft_time_limit": routing.soft_time_limit,
    }
    return {name: value for name, value in options.items() if value is not None}
