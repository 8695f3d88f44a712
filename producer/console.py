"""What the commands of this application share: the client."""

from __future__ import annotations

from typing import TYPE_CHECKING

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
