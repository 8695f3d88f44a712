"""Asks for jobs by name, without loading what the workers run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from askonce.adapters.celery.one_step import new_producer
from askonce.adapters.celery.sender import CelerySender
from settings.servers import new_app, new_store
from tasks.catalog import catalog

if TYPE_CHECKING:
    from collections.abc import Mapping

    from askonce.enqueue import Producer
    from askonce.outcomes import Outcome
    from askonce.spec import JobSpec
    from askonce.store import Store
    from settings.environment import Settings


@dataclass(frozen=True, slots=True, kw_only=True)
class Client:
    """Everything that a producer needs: the terms of each task, the records, the way to the workers."""

    specs: Mapping[str, JobSpec]
    store: Store
    producer: Producer

    def enqueue(self, task: str, payload: Mapping[str, object], **options: object) -> Outcome:
        """Ask *task* for *payload*; options and errors as ``Producer.enqueue``."""
        return self.producer.enqueue(self.specs[task], payload, **options)  # type: ignore[arg-type]  # passed on


def connect(settings: Settings) -> Client:
    """Join the store and the broker that *settings* name; neither is spoken to yet."""
    store = new_store(settings)
    app = new_app()
    return Client(specs=catalog(settings), store=store, producer=new_producer(app, store, CelerySender(app)))
