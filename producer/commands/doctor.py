"""``python -m producer doctor``: checks what workers and producers need, without a job."""

from __future__ import annotations

import json
import sys
import time
from dataclasses import asdict
from pkgutil import resolve_name
from typing import TYPE_CHECKING

import click

from producer.console import Exit

if TYPE_CHECKING:
    from collections.abc import Iterable

    from celery import Celery

    from askonce.checks import Finding
    from askonce.spec import JobSpec
    from askonce.store import Store

_LIST = "tasks.providers.openai.listed:look_up"
_CALL = "tasks.providers.openai.trial:try_model"


@click.command()
@click.option("--json", "as_json", is_flag=True, help="One JSON object for each finding on stdout.")
@click.option("--call", is_flag=True, help="Also call the model, at most twice and for little: it costs.")
def doctor(*, as_json: bool, call: bool) -> None:
    """Check servers, settings and the order of times; a worker checks the same at its start."""
    from askonce.checks import joined

    findings = _examine(call=call)
    for found in findings if as_json else joined(findings):
        click.echo(json.dumps(asdict(found), ensure_ascii=False) if as_json else str(found))
    sys.exit(Exit.CONFIG if any(found.severity == "error" for found in findings) else Exit.OK)


def _examine(*, call: bool) -> list[Finding]:
    """Return all findings: in a few seconds at most, whatever server is down; a *call* takes its own time."""
    from settings.checks import check, check_outside
    from settings.environment import load_or_exit
    from settings.servers import new_app, new_store
    from tasks.catalog import catalog

    settings = load_or_exit()
    specs, store, app = catalog(settings).values(), new_store(settings), new_app()
    servers = check(settings, specs, store, app)
    # By name, as bodies are: nothing else of a producer loads the client of a paid service.
    looks = [_LIST, *([_CALL] if call else [])]
    model = [found for look in looks for found in resolve_name(look)(settings)]
    outside = check_outside(settings)
    return [*servers, *_check_workers(specs, store, app), *outside, *model, *_check_providers(store)]


def _check_workers(specs: Iterable[JobSpec], store: Store, app: Celery) -> list[Finding]:
    from askonce.adapters.celery.sender import CelerySender
    from askonce.checks import Finding
    from askonce.errors import StoreUnavailable
    from askonce.listening import check_workers

    try:
        return check_workers(specs, CelerySender(app).queue_of, store.announcements.workers())
    except StoreUnavailable as error:
        text = f"are not known: the store did not list them ({error.reason})"
        cure = "see what the store needs"
        return [Finding(severity="warning", subject="workers", name="unknown", text=text, cure=cure)]


def _check_providers(store: Store) -> list[Finding]:
    """Return which providers accept no call now, as workers found."""
    from askonce.checks import Finding
    from askonce.errors import StoreUnavailable
    from askonce.pace.away import away
    from tasks.reasons import cure_of

    try:
        found = away(store.boards, time.time())
    except StoreUnavailable:
        # A finding of the store itself.
        return []
    return [
        Finding(
            severity="error" if each.configuration else "warning",
            subject="model",
            name="away",
            text=f"{each.subject} accepts no call since {each.seconds:.0f} s: {each.reason}",
            cure=cure_of(each.reason),
        )
        for each in found
    ]
