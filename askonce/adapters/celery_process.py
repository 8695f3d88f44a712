"""Joins one Celery app to one store: what producers use, and what each worker process builds."""

from __future__ import annotations

import os
import socket
from dataclasses import dataclass
from functools import cached_property
from threading import Lock
from typing import TYPE_CHECKING, Any, cast

from celery.bootsteps import StartStopStep

from askonce.adapters.celery_sender import CelerySender
from askonce.enqueue import Message, Producer
from askonce.events import Listener, ignore
from askonce.execute import Delivery, Execution, Executor, Reused, Skipped
from askonce.inline import Caller
from askonce.lease import LeaseRenewer
from askonce.reaper import INTERVAL, Reaper
from askonce.record import Codec, to_result
from askonce.store import Admission, Claim, Start

if TYPE_CHECKING:
    from collections.abc import Callable

    from celery import Celery

    from askonce.key import Identity
    from askonce.spec import JobSpec
    from askonce.store import Lost, Store


@dataclass(frozen=True, slots=True, kw_only=True)
class Process:
    """What one process works with; never crosses a fork."""

    store: Store
    executor: Executor
    caller: Caller
    producer: Producer
    reaper: Reaper

    def admit_and_execute(
        self, spec: JobSpec, identity: Identity, job: str, body: Callable[[], object]
    ) -> Execution:
        """Treat a message that askonce did not send as a question that nobody waits for."""
        reply = self.store.admit(Claim.of(spec, identity.key, job, identity.fingerprint, identity.payload))
        record = reply.record
        match reply.outcome:
            case Admission.HIT if record.value:
                result = to_result(identity.key, job, record.value, "cache")
                return Reused(key=identity.key, job=job, result=result)
            case Admission.CONFLICT:
                return Skipped(key=identity.key, job=job, outcome=Start.CONFLICT)
        return self.executor.execute(Delivery.of(spec, identity, record.job), body)


class AskOnce:
    """askonce for one Celery app."""

    def __init__(
        self,
        app: Celery,
        *,
        store: Callable[[], Store],
        codec: Codec | None = None,
        listen: Listener = ignore,
        reap_interval: float = INTERVAL,
    ) -> None:
        """Join *app* to the store that *store* connects to, once in each process.

        Every worker of the app looks at the whole store once in *reap_interval* seconds.
        """
        self.app = app
        self._connect, self._codec, self.listen = store, codec or Codec(), listen
        self._reap_interval = reap_interval
        self._process: Process | None = None
        self._lock = Lock()
        # A child must not wait for a lock that another thread of its parent held.
        os.register_at_fork(after_in_child=self._forget)
        cast("Any", app).askonce = self
        app.steps["worker"].add(ReaperStep)

    @cached_property
    def sender(self) -> CelerySender:
        """The way to this app's workers."""
        return CelerySender(self.app)

    @property
    def producer(self) -> Producer:
        """Asks on this app's store and broker."""
        return self.process().producer

    def process(self) -> Process:
        """Return what this process works with, built at its first use."""
        if self._process is None:
            with self._lock:
                self._process = self._process or self._build()
        return self._process

    def _build(self) -> Process:
        store = self._connect()
        reaper = Reaper(store, self._resend, interval=self._reap_interval, listen=self.listen)
        executor = Executor(
            store=store,
            leases=LeaseRenewer(store, listen=self.listen),
            codec=self._codec,
            listen=self.listen,
            on_deferred=reaper.look_at,
            holder=f"{socket.gethostname()}:{os.getpid()}",
        )
        return Process(
            store=store,
            executor=executor,
            caller=Caller(executor=executor),
            producer=Producer(store=store, sender=self.sender, listen=self.listen),
            reaper=reaper,
        )

    def _resend(self, lost: Lost) -> None:
        self.sender.send(
            Message(
                task=lost.task,
                key=lost.key,
                job=lost.job,
                fingerprint=lost.fingerprint,
                payload=lost.payload,
            )
        )

    def _forget(self) -> None:
        self._process, self._lock = None, Lock()


class ReaperStep(StartStopStep):
    """Runs the reaper in each worker's main process, from start to stop."""

    requires = ("celery.worker.components:Pool",)

    def start(self, parent: Any) -> None:
        """Begin to sweep."""
        of(parent.app).process().reaper.start()

    def stop(self, parent: Any) -> None:
        """Finish the sweep under way."""
        of(parent.app).process().reaper.stop()

    terminate = stop


def of(app: Celery) -> AskOnce:
    """Return the AskOnce of *app*.

    Raises:
        RuntimeError: the app has none.
    """
    once = getattr(app, "askonce", None)
    if not isinstance(once, AskOnce):
        raise RuntimeError(f"Celery app {app.main} has no AskOnce: create one beside the app")  # noqa: TRY004  # not the caller's type
    return once
