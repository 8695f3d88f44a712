"""Enqueues a dead job again: for a person, and for a schedule."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol

import orjson

from askonce.errors import JobError, LayoutNewer, SendFailed, StoreUnavailable
from askonce.outcomes import Admitted, Attached, Hit

if TYPE_CHECKING:
    from collections.abc import Mapping

    from askonce.job import Job, Key
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

    def identify(self, task: str, payload: Mapping[str, object], tenant: str, /) -> Job:
        """Return the job that ``enqueue`` would make of *payload*. Raises PayloadInvalid."""


def replay(app: App, dead: DeadJob, **chosen: object) -> Replayed:
    """Enqueue *dead*, which has its payload, again; *chosen* are options beside those of its first message.

    A new version of the task gives the payload a new key. What is there under that key answers: it is paid.

    Raises:
        StoreUnavailable: nothing was enqueued; or it was, and the dead job is on the list still.
    """
    job = dead.job
    if job.task not in app.specs:
        return Replayed("unknown task", ok=False)
    try:
        payload = orjson.loads(job.payload)
        key = app.identify(job.task, payload, job.tenant).key
        # Forced under its own key alone, where the stored failure would answer.
        outcome = app.enqueue(job.task, payload, force=key == job.key, **as_first(job), **chosen)
    except SendFailed:
        done = _replaced(app, job, key, Replayed("admitted", ok=True))
        return done._replace(words=f"{done.words}, but not sent; a worker sends it after the queue deadline")
    except StoreUnavailable:
        raise
    except (JobError, orjson.JSONDecodeError) as exc:
        return Replayed(f"refused: {exc}", ok=False)
    word = type(outcome).__name__.lower()
    if not isinstance(outcome, Admitted | Attached | Hit):
        return Replayed(word, ok=False, outcome=outcome)
    return _replaced(app, job, outcome.key, Replayed(word, ok=True, outcome=outcome))


def _replaced(app: App, job: Job, key: Key, done: Replayed) -> Replayed:
    """Forget the dead *job* where its payload has a new *key*: what is under that replaces it."""
    if key == job.key:
        return done
    refused = forget(app, job.key)
    words = "; ".join(filter(None, (f"{done.words} as {key}", refused)))
    return Replayed(words, not refused, done.outcome)


def forget(app: App, key: Key) -> str:
    """Forget what is kept under *key*; return why the store does not, empty where it does."""
    try:
        app.store.invalidate(key)
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
