"""Checks what workers and producers need, without a job."""

from __future__ import annotations

from typing import TYPE_CHECKING

from settings.checks import check, check_outside
from settings.servers import new_app, new_store
from tasks.catalog import catalog

if TYPE_CHECKING:
    from askonce.checks import Finding
    from settings.environment import Settings


def examine(settings: Settings) -> list[Finding]:
    """Check servers, times and services; takes a few seconds at most, whatever server is down."""
    specs = catalog(settings).values()
    return [*check(settings, specs, new_store(settings), new_app()), *check_outside(settings)]
