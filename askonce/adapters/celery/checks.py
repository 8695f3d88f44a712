"""Checks what a Celery app stands on before work starts: broker, store, settings, the order of its times."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any, cast

from celery.backends.base import DisabledBackend
from kombu.serialization import prepare_accept_content

from askonce.adapters.celery.bodies import PlainBody
from askonce.adapters.celery.patience import bounded, broker_url
from askonce.checks import REACHABLE, Finding, without_secrets
from askonce.lease import LOOK, RENEWALS
from askonce.record import TOMBSTONE_KEPT
from askonce.schedule.entry import GoingStale
from askonce.schedule.site import SLOT

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from celery import Celery

    from askonce.schedule.entry import Entry
    from askonce.spec import JobSpec
    from askonce.store import Store

#: Seconds to connect, and to wait for one answer of the broker.
PATIENCE = 1.0
#: kombu's own, where the app does not set it (seconds).
_VISIBILITY = 3600.0
#: The transports whose workers renew what they hold, by the scheme of their URLs.
RENEWS = {
    "redis": "askonce.adapters.kombu.redis:Transport",
    "rediss": "askonce.adapters.kombu.redis:SSLTransport",
}
_ON_REDIS = ("redis", "sentinel")
#: Names of tasks in one line.
_NAMED = 3


def check_app(store: Store, app: Celery, *, reap_interval: float) -> list[Finding]:
    """Look at *store*, at *app*'s broker, at its settings and at the order of its times."""
    return [
        *store.check(),
        *check_broker(app),
        *check_settings(app),
        *check_times(_specs_of(app), app, reap_interval=reap_interval),
    ]


def check_broker(app: Celery) -> list[Finding]:
    """Connect to *app*'s broker once; a Redis or Valkey server is checked in detail."""
    place = without_secrets(broker_url(app))
    try:
        connection = cast("Any", app).connection_for_write(
            connect_timeout=PATIENCE, transport_options=bounded(app, PATIENCE)
        )
        transport = connection.transport
        redis = transport.driver_type == "redis"
        try:
            established = transport.establish_connection()
        except (*connection.connection_errors, *connection.channel_errors) as error:
            return [_no_answer(place, error, redis=redis)]
    except (ImportError, LookupError, ValueError) as error:
        text = f"cannot be used: {place} ({type(error).__name__})"
        cure = "correct its URL or its transport options, or install its transport"
        return [_error("broker", "transport", text, cure)]
    try:
        if redis:
            return _check_redis(transport.create_channel(established).client, place)
        text = f"answers at {place}; only Redis and Valkey are checked in detail"
        return [Finding(severity="ok", subject="broker", name=REACHABLE, text=text)]
    finally:
        transport.close_connection(established)


def check_times(
    specs: Iterable[JobSpec],
    app: Celery,
    *,
    reap_interval: float,
    longest_call: float | None = None,
) -> list[Finding]:
    """Return which times of *specs* and of *app*'s settings are in the wrong order; all in seconds.

    *longest_call* is the timeout of the longest call, where it is known.
    """
    findings = [*_check_ladder(app, longest_call), *_check_specs(list(specs), reap_interval)]
    ok = Finding(severity="ok", subject="times", name="times", text="are in order")
    return findings or [ok]


def check_settings(app: Celery) -> list[Finding]:
    """Return which settings of *app* and its tasks lose messages, parts of canvases, or paid calls."""
    return [*_check_messages(app), *_check_killed(app)]


def check_schedule(entries: Iterable[Entry], specs: Mapping[str, JobSpec]) -> list[Finding]:
    """Return which *entries* ask for what no task of the app, by its *specs*, can give."""
    findings = []
    for entry in entries:
        task = entry.query.task
        if task not in specs:
            text = f"{entry.name!r} is of task {task!r}, which is no idempotent task of this app"
            others = ", ".join(sorted(specs.keys() - {SLOT.name})) or "none"
            findings.append(_error("schedule", "task", text, f"its idempotent tasks are: {others}"))
        elif isinstance(entry.query, GoingStale) and not specs[task].keep_payload:
            text = f"{entry.name!r} makes answers of {task!r} anew, which keeps no payloads"
            findings.append(_error("schedule", "payload", text, "set keep_payload=True in its JobSpec"))
    return findings


def _check_messages(app: Celery) -> list[Finding]:
    conf: Any = app.conf
    findings, accepted = [], prepare_accept_content(conf.accept_content)
    if accepted is not None and "application/json" not in accepted:
        text = "accept_content lacks json: each job would be a dead letter"
        findings.append(_error("settings", "accept_content", text, 'add "json" to it'))
    if broker_url(app).startswith(_ON_REDIS) and not _renews(app):
        text = f"kombu's transport gives a killed worker's messages back only after {_visibility(app):g} s"
        shorter = "set visibility_timeout to little more than the longest run"
        ours = _own_transport(app)
        cure = f'set broker_transport = "{ours}"' if ours else shorter
        findings.append(_warning("broker", "renewal", text, cure))
    if conf.worker_cancel_long_running_tasks_on_connection_loss:
        text = "worker_cancel_long_running_tasks_on_connection_loss ends paid calls; they are made again"
        findings.append(_warning("settings", "cancelled_calls", text, "set it to False: the lease is enough"))
    return findings


def _check_killed(app: Celery) -> list[Finding]:
    """Return what would not come back after a worker is killed."""
    conf: Any = app.conf
    tasks = list(app.tasks.values())
    idempotent = [task for task in tasks if _is_idempotent(task)]
    findings = []
    if early := _names([task for task in idempotent if not task.acks_late]):
        text = f"acks_late is off for {early}: a killed worker loses its messages"
        findings.append(_error("tasks", "acks_late", text, "leave acks_late as IdempotentTask has it"))
    keep_results = not isinstance(app.backend, DisabledBackend)
    if not keep_results or all(task.ignore_result for task in idempotent):
        return findings  # none of them is in a chord
    if conf.worker_deduplicate_successful_tasks:
        text = "worker_deduplicate_successful_tasks skips a returned part: its chord may wait for ever"
        findings.append(_error("settings", "deduplication", text, "set it to False: the record does it"))
    plain = [task for task in tasks if not _is_idempotent(task) and not task.name.startswith("celery.")]
    if early := _names([task for task in plain if not task.acks_late]):
        text = f"a killed worker loses what it runs of {early}; a chord with it waits for ever"
        cure = "set task_acks_late = True, where such a task may run twice"
        findings.append(_warning("tasks", "plain_tasks", text, cure))
    return findings


def _renews(app: Celery) -> bool:
    conf: Any = app.conf
    return _own_transport(app) is not None and conf.broker_transport in RENEWS.values()


def _own_transport(app: Celery) -> str | None:
    """Return our transport for *app*'s broker; None where sentinels or a unix socket need kombu's own."""
    return RENEWS.get(broker_url(app).partition("://")[0])


def _visibility(app: Celery, default: float | None = _VISIBILITY) -> Any:
    conf: Any = app.conf
    return (conf.broker_transport_options or {}).get("visibility_timeout", default)


def _is_idempotent(task: Any) -> bool:
    return isinstance(task, PlainBody)


def _names(tasks: list[Any]) -> str:
    names = sorted(str(task.name) for task in tasks)
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return f"{', '.join(names[:_NAMED])}{more}"


def limits_of(worker: Any) -> dict[str, float]:
    """Return the time limits of *worker*'s command line, by the names of Celery's settings; in seconds."""
    given = {name: worker.options.get(name) for name in ("time_limit", "soft_time_limit")}
    return {f"task_{name}": seconds for name, seconds in given.items() if seconds}


def check_options(worker: Any, limits: Mapping[str, float]) -> list[Finding]:
    """Return which options of *worker*'s command line, its *limits* among them, its pool cannot honour."""
    pool: Any = worker.pool_cls
    if pool.uses_semaphore or hasattr(pool, "grow"):
        return []
    refused = ["--autoscale"] if worker.autoscale else []
    refused += [f"--{name.removeprefix('task_').replace('_', '-')}" for name in limits]
    text = f"this pool cannot honour {' '.join(refused)}"
    return [_error("worker", "options", text, "use -P prefork, or leave it out")] if refused else []


def _specs_of(app: Celery) -> list[JobSpec]:
    """Return the terms of the app's idempotent tasks."""
    specs = (getattr(task, "spec", None) for task in app.tasks.values())
    return [spec for spec in specs if spec is not None]


def _check_redis(client: Any, place: str) -> list[Finding]:
    from askonce.adapters.redis.checks import check_server

    return check_server(client, subject="broker", place=place)


def _no_answer(place: str, error: Exception, *, redis: bool) -> Finding:
    if redis:
        from askonce.adapters.redis.checks import no_answer

        return no_answer("broker", place, error)
    text = f"does not answer at {place} ({type(error).__name__})"
    return _error("broker", REACHABLE, text, "start it, or correct its URL")


def _check_ladder(app: Celery, longest_call: float | None) -> list[Finding]:
    conf: Any = app.conf
    # Only these brokers deliver a message again after a timeout.
    default = _VISIBILITY if broker_url(app).startswith(_ON_REDIS) else None
    visibility = _visibility(app, default)
    steps = [
        ("the longest call", longest_call),
        ("task_soft_time_limit", conf.task_soft_time_limit),
        ("task_time_limit", conf.task_time_limit),
        # Where a worker renews its deliveries, they last as long as it lives.
        ("visibility_timeout", None if _renews(app) else visibility),
    ]
    known = [(name, seconds) for name, seconds in steps if seconds is not None]
    return [
        _error("times", "limits", f"{a} ({x:g} s) does not end before {b} ({y:g} s)", f"raise {b}")
        for (a, x), (b, y) in pairwise(known)
        if x >= y
    ]


def _check_specs(specs: list[JobSpec], reap_interval: float) -> list[Finding]:
    findings = []
    for lease in sorted({spec.lease for spec in specs}):
        if lease >= TOMBSTONE_KEPT:
            text = f"a lease of {lease:g} s outlives what is kept to fence it ({TOMBSTONE_KEPT:g} s)"
            findings.append(_error("times", "lease", text, "shorten the lease"))
        elif lease < RENEWALS * LOOK:
            text = f"a lease of {lease:g} s leaves less than {LOOK:g} s between its renewals"
            findings.append(_warning("times", "lease", text, f"give it {RENEWALS * LOOK:g} s or more"))
    shortest = min((spec.queue_deadline for spec in specs), default=reap_interval)
    if shortest < reap_interval:
        text = f"a queue deadline of {shortest:g} s is only looked at every {reap_interval:g} s"
        findings.append(_warning("times", "queue_deadline", text, "raise it, or shorten the reap interval"))
    return findings


def _error(subject: str, name: str, text: str, cure: str) -> Finding:
    return Finding(severity="error", subject=subject, name=name, text=text, cure=cure)


def _warning(subject: str, name: str, text: str, cure: str) -> Finding:
    return Finding(severity="warning", subject=subject, name=name, text=text, cure=cure)
