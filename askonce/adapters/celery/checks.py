"""Checks what a Celery app stands on before work starts: its broker, its store, the order of its times."""

from __future__ import annotations

from itertools import pairwise
from typing import TYPE_CHECKING, Any, cast

from askonce.adapters.celery.patience import bounded, broker_url
from askonce.checks import REACHABLE, Finding, without_secrets
from askonce.lease import LOOK, RENEWALS
from askonce.record import TOMBSTONE_KEPT

if TYPE_CHECKING:
    from collections.abc import Iterable

    from celery import Celery

    from askonce.spec import JobSpec
    from askonce.store import Store

#: Seconds to connect, and to wait for one answer of the broker.
PATIENCE = 1.0
#: kombu's own, where the app does not set it (seconds).
_VISIBILITY = 3600.0
#: The transport whose workers renew what they hold.
_RENEWS = "askonce.adapters.kombu.redis:Transport"


def check_app(store: Store, app: Celery, *, reap_interval: float) -> list[Finding]:
    """Look at *store*, at *app*'s broker and at the order of its times."""
    return [
        *store.check(),
        *check_broker(app),
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
    default = _VISIBILITY if broker_url(app).startswith(("redis", "sentinel")) else None
    visibility = (conf.broker_transport_options or {}).get("visibility_timeout", default)
    steps = [
        ("the longest call", longest_call),
        ("task_soft_time_limit", conf.task_soft_time_limit),
        ("task_time_limit", conf.task_time_limit),
        # Where a worker renews its deliveries, they last as long as it lives.
        ("visibility_timeout", None if conf.broker_transport == _RENEWS else visibility),
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
