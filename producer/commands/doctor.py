"""``python -m producer doctor``: checks what workers and producers need, without a job."""

from __future__ import annotations

import json
import sys
from dataclasses import asdict
from typing import TYPE_CHECKING

import click

from producer.console import Exit

if TYPE_CHECKING:
    from collections.abc import Iterable

    from celery import Celery

    from askonce.checks import Finding
    from askonce.spec import JobSpec
    from askonce.store import Store


@click.command()
@click.option("--json", "as_json", is_flag=True, help="One JSON object for each finding on stdout.")
def doctor(*, as_json: bool) -> None:
    """Check servers, settings and the order of times; a worker checks the same at its start."""
    from askonce.checks import joined

    findings = _examine()
    for found in findings if as_json else joined(findings):
        click.echo(json.dumps(asdict(found), ensure_ascii=False) if as_json else str(found))
    sys.exit(Exit.CONFIG if any(found.severity == "error" for found in findings) else Exit.OK)


def _examine() -> list[Finding]:
    """Return all findings; takes a few seconds at most, whatever server is down."""
    from settings.checks import check, check_outside
    from settings.environment import load_or_exit
    from settings.servers import new_app, new_store
    from tasks.catalog import catalog

    settings = load_or_exit()
    specs, store, app = catalog(settings).values(), new_store(settings), new_app()
    servers = check(settings, specs, store, app)
    return [*servers, *_check_workers(specs, store, app), *check_outside(settings)]


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
