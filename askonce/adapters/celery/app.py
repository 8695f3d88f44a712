"""Joins one Celery app to one store: what producers use, and what each worker process builds."""

from __future__ import annotations

import os
import socket
from dataclasses import dataclass, replace
from pkgutil import resolve_name
from threading import Lock
from typing import TYPE_CHECKING, Any, cast

from celery.bootsteps import StartStopStep
from celery.signals import worker_process_shutdown
from celery.utils import uuid

from askonce.adapters.celery.announce import AnnounceStep
from askonce.adapters.celery.bodies import check_bodies
from askonce.adapters.celery.canvas import carry_to_items
from askonce.adapters.celery.checks import check_app, check_schedule
from askonce.adapters.celery.deliveries import Deliveries, DeliveriesStep
from askonce.adapters.celery.forgotten import ForgottenStep
from askonce.adapters.celery.letters import LettersStep
from askonce.adapters.celery.one_message import BY_ITEM, OneMessage, carry_own_options
from askonce.adapters.celery.one_step import new_producer
from askonce.adapters.celery.paused_queues import PauseAtStartStep, PausedQueues, PauseStep, log_no_traceback
from askonce.adapters.celery.sender import CelerySender
from askonce.adapters.celery.shape import BUILT_IN
from askonce.adapters.celery.startup import CheckLaterStep, CheckStep, StartUp
from askonce.announcer import Announcer
from askonce.answer import Codec
from askonce.errors import OptionInvalid
from askonce.execute import Executor
from askonce.inline import Caller
from askonce.key import identify, with_shown
from askonce.lease import LeaseRenewer
from askonce.line import one_line
from askonce.listening import Listening, listening
from askonce.log import log_event
from askonce.message import Message
from askonce.pause_watch import PauseWatch
from askonce.reaper import INTERVAL, Reaper
from askonce.runner import Runner
from askonce.schedule.entry import by_name
from askonce.store_down.cache import LocalCache
from askonce.store_down.calls import LocalCalls
from askonce.store_down.spill import Spill

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from pathlib import Path

    from celery import Celery, Task

    from askonce.checks import Finding
    from askonce.enqueue import Producer
    from askonce.events import Listener
    from askonce.job import Job, Routing
    from askonce.lost import Lost
    from askonce.outcomes import Outcome
    from askonce.schedule.entry import Entry
    from askonce.schedule.site import RunInputs
    from askonce.spec import JobSpec
    from askonce.store import Store

#: By its name: a producer does not load it.
_WATCHED = "askonce.adapters.celery.watched:WatchedStep"
#: By its name: it makes a task, and tasks are made of this module's apps.
_SLOTS = "askonce.adapters.celery.slot_task:register"
#: Seconds that a process waits at its end for a store that is down to accept its last answers.
DRAIN_SECONDS = 5.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Process:
    """What one process works with; never crosses a fork."""

    store: Store
    runner: Runner
    spill: Spill
    caller: Caller
    producer: Producer
    reaper: Reaper
    announcer: Announcer
    pause_watch: PauseWatch


def _check(once: AskOnce) -> list[Finding]:
    return check_app(once.process().store, once.app, reap_interval=once.reap_interval)


def _adapt_canvas(sender: Celery, **_: object) -> None:
    """Let Celery's own tasks show no arguments and no results, which are their parts', and take options."""
    for name, task in cast("Any", sender)._tasks.items():  # noqa: SLF001  # the public name would finalize again
        if name.startswith(BUILT_IN):
            task.Request, task.resultrepr_maxsize = "askonce.adapters.celery.request:HiddenRequest", 0
        if name in BY_ITEM:
            carry_to_items(task)


def _require_usable(app: Celery, store: object) -> None:
    if not callable(store):
        raise TypeError("store must be a function that returns a store, once in each process")
    if isinstance(getattr(app, "askonce", None), AskOnce):
        raise RuntimeError(f"Celery app {app.main} has an AskOnce")  # noqa: TRY004  # not the caller's type


class AskOnce:
    """askonce for one Celery app."""

    def __init__(  # noqa: PLR0913  # what an app may choose; all but two have a default
        self,
        app: Celery,
        *,
        store: Callable[[], Store],
        codec: Codec | None = None,
        listen: Listener = log_event,
        reap_interval: float = INTERVAL,
        local_cache: Callable[[], LocalCache] = LocalCache,
        cure_of: Callable[..., str] | None = None,
        check: Callable[[AskOnce], list[Finding]] | None = _check,
        schedule: Iterable[Entry] = (),
        inputs_of_run: Callable[[Path], RunInputs] | None = None,
    ) -> None:
        """Join *app* to the store that *store* connects to, once in each process.

        *listen* gets every event; by default each event is one log line. Every worker of the app looks at
        the whole store once in *reap_interval* seconds. *local_cache* keeps answers for the time when the
        store is down. Monitors show what *cure_of* returns: what a person can do about a failure. At its
        start a worker logs the warnings of *check*, and ends with exit code 78 on an error; None checks
        nothing. The slots of *schedule* are fired by ``scheduler.Scheduler``; *inputs_of_run* finds what a
        ``StoredRun`` of it asked for.
        """
        _require_usable(app, store)
        #: The entries of the schedule, by their names.
        self.schedule, self.inputs_of_run = by_name(schedule), inputs_of_run
        self.app = app
        self._connect, self._codec, self.listen = store, codec or Codec(), listen
        self.reap_interval, self._local_cache = reap_interval, local_cache
        self._cure_of = cure_of or self._how_to_replay
        #: What the consumer of this process has received, where it is a worker's main process.
        self.deliveries = Deliveries(app)
        #: The queues that this process leaves alone, where it is a worker's main process.
        self.paused_queues = PausedQueues(app)
        log_no_traceback()
        self.start_up = StartUp(lambda: [*self.check_schedule(), *(check(self) if check else [])])
        self._check = check or _check
        #: The way to this app's workers.
        self.sender = CelerySender(app)
        self._process: Process | None = None
        self._lock = Lock()
        # A child must not wait for a lock that another thread of its parent held.
        os.register_at_fork(after_in_child=self._forget)
        worker_process_shutdown.connect(self._drain, weak=False)
        cast("Any", app).askonce = self
        self._add_to(app)

    def _add_to(self, app: Celery) -> None:
        check_bodies(app)
        carry_own_options(app)
        app.on_after_finalize.connect(_adapt_canvas, weak=False)
        if cast("Any", app).finalized:
            _adapt_canvas(app)
        if self.schedule:
            resolve_name(_SLOTS)(self)
        app.steps["worker"].update((CheckStep, ReaperStep, PauseStep, AnnounceStep))
        app.steps["consumer"].update(
            (CheckLaterStep, LettersStep, DeliveriesStep, PauseAtStartStep, ForgottenStep, _WATCHED)
        )

    @property
    def producer(self) -> Producer:
        """Enqueues on this app's store and broker."""
        return self.process().producer

    def producer_of_one_message(self, published: Mapping[str, Any]) -> Producer:
        """Return a producer that publishes one message with these options of its caller."""
        producer = self.process().producer
        if not published:
            return producer
        return replace(producer, sender=OneMessage(self.app, self.sender, published), publish=None)

    def listening(self, task: str | Task[..., Any]) -> Listening:
        """Return whether a living worker would run the next job of *task*, or its name; two round trips.

        Raises:
            StoreUnavailable: the store did not answer.
            ValueError: the app has no idempotent task of this name.
        """
        name = str(task if isinstance(task, str) else task.name)
        spec: JobSpec | None = getattr(self.app.tasks.get(name), "job_spec", None)
        if spec is None:
            raise ValueError(f"{name} is no idempotent task of this app")
        store = self.process().store
        workers, pauses = store.announcements.workers(), store.controls.pauses()
        return listening(spec, self.sender.queue_of(name), workers, pauses)

    def enqueue(self, task: str, payload: Mapping[str, object], **options: Any) -> Outcome:
        """Enqueue *payload* for the task of this name, as that task's own ``enqueue`` does.

        A producer with the task's spec would not: it knows no signature, so it fills in no defaults.
        """
        found: Any = self.app.tasks[task]
        return cast("Outcome", found.enqueue(payload, **options))

    def identify(self, task: str, payload: Mapping[str, object], tenant: str = "") -> Job:
        """Return the job that ``enqueue`` would make of *payload*.

        Raises:
            PayloadInvalid: the task would refuse it; names the field.
        """
        found: Any = self.app.tasks[task]
        return identify(found.job_spec, found.bind_row((), payload), tenant)

    @property
    def specs(self) -> Mapping[str, JobSpec]:
        """The terms of the app's idempotent tasks, by their names."""
        tasks = cast("Any", self.app).tasks.items()
        return {name: task.job_spec for name, task in tasks if hasattr(task, "job_spec")}

    def examine(self) -> list[Finding]:
        """Return what a worker's check finds now; the check of any app where *check* is None."""
        return [*self.check_schedule(), *self._check(self)]

    def check_schedule(self) -> list[Finding]:
        """Return which entries of the schedule no task of the app can answer."""
        return check_schedule(self.schedule.values(), self.specs) if self.schedule else []

    def process(self) -> Process:
        """Return what this process works with, built at its first use."""
        if self._process is None:
            with self._lock:
                self._process = self._process or self._build()
        return self._process

    def _build(self) -> Process:
        store = self._connect()
        store.report_to(self.listen)
        reaper = Reaper(
            store,
            self._resend,
            interval=self.reap_interval,
            delivered=self.deliveries.seen,
            listen=self.listen,
        )
        cache, spill = self._local_cache(), Spill(listen=self.listen)
        holder = f"{socket.gethostname()}:{os.getpid()}"
        executor = Executor(
            store=store,
            leases=LeaseRenewer(store, listen=self.listen),
            codec=self._codec,
            spill=spill,
            listen=self.listen,
            on_deferred=reaper.look_at,
            holder=holder,
        )
        local = LocalCalls(store, cache, spill, codec=self._codec, listen=self.listen, holder=holder)
        runner = Runner(executor=executor, local=local)
        return Process(
            store=store,
            runner=runner,
            spill=spill,
            caller=Caller(runner=runner, route=self._route),
            producer=new_producer(self.app, store, self.sender, self.listen),
            reaper=reaper,
            announcer=Announcer(store.announcements, listen=self.listen),
            pause_watch=PauseWatch(store.controls, listen=self.listen),
        )

    def _route(self, job: Job, row: Mapping[str, object] | None) -> Routing:
        """Return where messages of *job* go; what it has chosen where only other processes know its queue."""
        try:
            return self.sender.route(job, row)
        except OptionInvalid:
            return job.routing

    def _resend(self, lost: Lost) -> None:
        from celery.worker.state import revoked  # a producer does not load the worker

        # Workers refuse a revoked id for hours, and the job is shared by every caller that enqueued it.
        delivery = uuid() if lost.job.id in revoked else None
        spec: JobSpec | None = getattr(self.app.tasks.get(lost.job.task), "job_spec", None)
        job = with_shown(spec, lost.job) if spec else lost.job
        self.sender.send(Message(job, sent_at=lost.sent_at), delivery=delivery)

    def cure_of(self, reason: str, *, kind: str = "", key: str = "ID") -> str:
        """Return what a person can do about a failure, in one line; empty where nothing is known.

        *kind* and *key* are those of a job that ended.
        """
        try:
            return one_line(self._cure_of(reason, kind=kind, key=key))
        except Exception:  # noqa: BLE001  # the app's own function, called while a job ends
            return ""

    def _how_to_replay(self, _reason: str, *, kind: str, key: str) -> str:
        """Return the command that has a job made again; empty where there is none."""
        app = self.app.main or "APP"
        return f"Then: celery -A {app} askonce dead replay {key}" if kind == "quarantined" else ""

    def _drain(self, **_: object) -> None:
        if self._process is not None:
            self._process.spill.drain(DRAIN_SECONDS)

    def _forget(self) -> None:
        self._process, self._lock = None, Lock()


class ReaperStep(StartStopStep):
    """Runs the reaper in each worker's main process, from start to stop."""

    requires = ("celery.worker.components:Pool",)

    def start(self, parent: Any) -> None:
        """Begin to sweep."""
        of(parent.app).process().reaper.start()

    def stop(self, parent: Any) -> None:
        """Store the answers that are left, and finish the sweep under way."""
        process = of(parent.app).process()
        process.spill.drain(DRAIN_SECONDS)
        process.reaper.stop()

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
