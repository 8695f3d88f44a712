"""Looks one customer up."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tasks.resources import Resources


def lookup(payload: Mapping[str, object], resources: Resources) -> dict[str, object]:
    """Return the customer; the body of ``customers.lookup``."""
    return resources.customers.fetch(str(payload["cliente_id"]))
