"""Examines what workers and producers stand on, without asking for any job."""

from __future__ import annotations

from typing import TYPE_CHECKING

from producer.client import connect, new_app
from tasks.checks import check, check_outside

if TYPE_CHECKING:
    from askonce.checks import Finding
    from settings.environment import Settings


def examine(settings: Settings) -> list[Finding]:
    """Look at servers, times and services; takes a few seconds at most, whatever is down."""
    return [*check(settings, connect(settings).store, new_app()), *check_outside(settings)]
