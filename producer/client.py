"""Enqueues jobs by the name of their task, without loading what the workers run."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from askonce.adapters.celery.dead_messages import send_again
from askonce.adapters.celery.one_step import new_producer
from askonce.adapters.celery.queues import open_queues
from askonce.adapters.celery.sender import CelerySender
from askonce.events import ignore
from askonce.key import identify
from askonce.listening import Listening, listening
from askonce.log import log_event
from askonce.schedule.entry import by_name
from askonce.schedule.firing import Firing
from askonce.schedule.site import SLOT
from settings.servers import new_app, new_store
from tasks.catalog import catalog
from tasks.reasons import cure_of
from tasks.schedule import entries

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from contextlib import AbstractContextManager

    from askonce.enqueue import Producer
    from askonce.errors import JobError
    from askonce.events import Listener
    from askonce.job import Job
    from askonce.letters import DeadMessage
    from askonce.outcomes import Outcome
    from askonce.queues import Queues
    from askonce.schedule.entry import Entry
    from askonce.spec import JobSpec
    from askonce.store import Store
    from settings.environment import Settings


@dataclass(frozen=True, slots=True, kw_only=True)
class Client:
    """What a program needs to enqueue jobs: the terms of each task, the store, and the producer."""

    specs: Mapping[str, JobSpec]
    store: Store
    producer: Producer
    #: The queue of a task's messages; None where it is not known.
    queue_of: Callable[[str], str | None] = lambda _task: None
    #: The entries of the schedule, which only its verbs read.
    entries: Callable[[], Iterable[Entry]] = tuple
    listen: Listener = ignore

    def enqueue(self, task: str, payload: Mapping[str, object], **options: object) -> Outcome:
        """Enqueue *payload* for *task*; options and errors as ``Producer.enqueue``."""
        return self.producer.enqueue(self.specs[task], payload, **options)  # type: ignore[arg-type]  # passed on

    def identify(self, task: str, payload: Mapping[str, object], tenant: str = "") -> Job:
        """Return the job that ``enqueue`` would make of *payload*; raises PayloadInvalid."""
        return identify(self.specs[task], payload, tenant)

    def enqueue_many(
        self, task: str, payloads: Sequence[Mapping[str, object]], *, jobs: Sequence[str], **options: object
    ) -> list[Outcome | JobError]:
        """Enqueue *payloads* for *task*; options, outcomes and errors as ``Producer.enqueue_many``."""
        return self.producer.enqueue_many(self.specs[task], payloads, jobs=jobs, **options)  # type: ignore[arg-type]  # passed on

    def listening(self, task: str, *, queue: str = "", tenant: str = "", run: str = "") -> Listening:
        """Return whether a living worker would run the next job of *task*, by *queue* or the task's own.

        It takes two round trips.

        Raises:
            StoreUnavailable: the store did not answer.
        """
        workers, pauses = self.store.announcements.workers(), self.store.controls.pauses()
        taken = queue or self.queue_of(task)
        return listening(self.specs[task], taken, workers, pauses, tenant=tenant, run=run)

    def cure_of(self, reason: str, *, kind: str = "", key: str = "ID") -> str:
        """Return what a person can do about a failure, as ``tasks.reasons`` has it."""
        return cure_of(reason, kind=kind, key=key)

    def firing(self) -> Firing:
        """Return what fires the slots of the schedule."""
        return Firing(
            entries=by_name(self.entries()),
            store=self.store,
            spec=SLOT,
            enqueue=partial(self.producer.enqueue, SLOT),
            listen=self.listen,
        )

    def queues(self) -> AbstractContextManager[Queues]:
        """Lend the queues of the configured broker."""
        return open_queues(new_app())

    def send_again(self, message: DeadMessage) -> str | None:
        """Send *message* to its queue again; return why it was not sent, None where it was."""
        app = new_app()
        return send_again(message, app=app, sender=CelerySender(app), store=self.store)


def connect(settings: Settings, *, listen: Listener = log_event) -> Client:
    """Return a client of the servers that *settings* name; it connects at the first command.

    *listen* gets each event; by default it is one line on logger ``askonce``.
    """
    store, app = new_store(settings, listen=listen), new_app()
    sender = CelerySender(app)
    producer = new_producer(app, store, sender, listen)
    return Client(
        specs=catalog(settings),
        store=store,
        producer=producer,
        queue_of=sender.queue_of,
        entries=partial(entries, settings),
        listen=listen,
    )
