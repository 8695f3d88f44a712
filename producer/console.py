"""What the commands of this application share: the client, and how they show events."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from askonce.cli import events
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


def show_events(*, verbose: bool) -> None:
    """Write each event to stderr if *verbose*, in the form of this application's logs."""
    if not verbose:
        events.show_events(verbose=False)
        return
    from settings.environment import SettingsInvalid, load
    from settings.logs import configure

    try:
        form = load().log_format
    except SettingsInvalid:
        # The verb names the variable.
        form = None
    configure(form, logging.WARNING)
    logging.getLogger("askonce").setLevel(logging.INFO)
