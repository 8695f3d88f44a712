"""Builds a run from the words of its caller, and what watches over it."""

from __future__ import annotations

from functools import cache, partial
from typing import TYPE_CHECKING, Final

from askonce.controls import Pause
from askonce.errors import StoreUnavailable
from producer.run.ask import Asker
from producer.run.limits import MaxFailures
from producer.run.run import Run
from producer.run.watch import Watch

if TYPE_CHECKING:
    from collections.abc import Callable

    from producer.client import Client
    from producer.progress.reporter import Progress
    from producer.run.counted import Counted
    from producer.run.limits import Budget
    from producer.run.opened import Opened
    from producer.run.report import Report
    from producer.run.trouble import Trouble
    from producer.run.wanted import Wanted

#: Failures that stop a run whose caller sets no limit: a bad prompt must not burn a whole file.
_MAX_FAILURES: Final = MaxFailures(percent=5.0)
#: Seconds for which a run that has a journal waits for servers that do not answer.
_PATIENCE: Final = 300.0
#: Seconds for which a row is waited for whose run has none.
_TIMEOUT: Final = 600.0
#: Rows ahead of each slot of the workers; and in all, where few or none are known.
_AHEAD_OF_A_SLOT, _AHEAD = 10, 1000


def new_run(
    wanted: Wanted,
    client: Client,
    opened: Opened,
    *,
    sink: Counted,
    budget: Budget,
    progress: Progress,
    trouble: Trouble,
    on_report: Callable[[Report], object],
) -> Run:
    """Return the run that asks for what is *wanted*."""
    round_, spec = opened.round, client.specs[wanted.task]
    default = None if wanted.file is not None else _TIMEOUT
    run = Run(
        store=client.store,
        asker=_new_asker(wanted, client, opened, trouble, lambda: run.stop is not None),
        name=round_.name,
        sink=sink,
        key_fields=spec.key_fields,
        waits=wanted.waits,
        timeout=default if wanted.timeout is None else wanted.timeout,
        max_queued=_ahead(wanted, client) if wanted.max_queued is None else wanted.max_queued,
        strict=wanted.strict,
        budget=budget,
        max_failures=wanted.max_failures or (_MAX_FAILURES if wanted.waits else MaxFailures()),
        on_jobs=cache(partial(_warn_of_workers, wanted, client, round_.name, progress)),
        on_report=on_report,
        on_reached=trouble.over,
        failed_jobs=opened.failed_jobs,
        on_under_way=sink.count_under_way,
    )
    return run


def patience_of(wanted: Wanted) -> float:
    """Return for how many seconds a server that does not answer is waited for."""
    return _PATIENCE if wanted.file is not None else 0.0


def _new_asker(
    wanted: Wanted, client: Client, opened: Opened, trouble: Trouble, is_stopped: Callable[[], bool]
) -> Asker:
    kept, round_ = wanted.file is not None, opened.round
    return Asker(
        is_stopped=is_stopped,
        client=client,
        task=wanted.task,
        uid=round_.uid,
        uids=opened.uids,
        options={
            "tenant": wanted.tenant,
            "on_duplicate": wanted.on_duplicate,
            "run": round_.name,
            **({"queue": wanted.queue} if wanted.queue else {}),
        },
        again=opened.again,
        patience=patience_of(wanted),
        may_leave_run=not kept and wanted.run is None,
        on_trouble=trouble.tell,
    )


def _ahead(wanted: Wanted, client: Client) -> int:
    """Return how many rows may be ahead of the workers."""
    try:
        workers = client.store.announcements.workers()
    except StoreUnavailable:
        # The first group reports that.
        return _AHEAD
    slots = sum(worker.slots for worker in workers if wanted.task in worker.tasks)
    return max(_AHEAD, _AHEAD_OF_A_SLOT * slots)


def _warn_of_workers(wanted: Wanted, client: Client, run: str, progress: Progress) -> None:
    """Say once if no living worker runs the jobs; they wait then."""
    try:
        heard = client.listening(wanted.task, queue=wanted.queue, tenant=wanted.tenant, run=run)
    except StoreUnavailable:
        # Whether the jobs themselves are in the store is what counts.
        return
    if not heard.ok:
        progress.note(str(heard.finding()))


def new_watch(
    wanted: Wanted,
    client: Client,
    run: str,
    *,
    progress: Progress,
    trouble: Trouble,
    renew: Callable[[], object],
) -> Watch:
    """Return what says why the rows of *run* wait, and calls *renew* now and then."""
    model, queue = client.specs[wanted.task].model, wanted.queue or client.queue_of(wanted.task)
    named = {"task": wanted.task, "tenant": wanted.tenant, "run": run, "model": model, "queue": queue or ""}
    pauses = {Pause(scope, name) for scope, name in named.items() if name}  # type: ignore[arg-type]  # scopes
    concerns = frozenset({Pause("all"), *pauses})
    return Watch(client.store, concerns, model, progress, trouble=lambda: trouble.lasts, renew=renew)
