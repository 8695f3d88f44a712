"""What the commands of this application share: the client, and the warning of missing workers."""

from __future__ import annotations

from typing import TYPE_CHECKING

import click

from askonce.cli.site import require_task
from producer.mount import connect_or_exit

if TYPE_CHECKING:
    from producer.client import Client


def open_client(task: str | None = None) -> Client:
    """Return a client of the configured servers; end with a usage error for an unknown *task*."""
    client = connect_or_exit()
    if task is not None:
        require_task(task, client.specs)
    return client


def warn_of_workers(client: Client, task: str) -> None:
    """Write one line to stderr if no living worker runs the jobs of *task*; they wait then."""
    from askonce.errors import StoreUnavailable

    try:
        heard = client.listening(task)
    except StoreUnavailable:
        # Whether the job itself is in the store is what counts; the command reports that.
        return
    if not heard.ok:
        click.echo(str(heard.finding()), err=True)
