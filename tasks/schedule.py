"""The schedule in one table: what is asked anew, when, and within which bounds (docs/scheduling.md)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from askonce.schedule import Cron, Entry, StoredFile
from tasks.catalog import ORDERS_ENRICH

if TYPE_CHECKING:
    from settings.environment import Settings

#: Seconds: a slot that begins anew with the first row asks for no order a second time.
_JUST_ASKED = 300.0


def entries(settings: Settings) -> list[Entry]:
    """Return the entries under *settings*: none where there is nothing to ask for."""
    if settings.orders_file is None:
        return []
    orders = StoredFile(task=ORDERS_ENRICH, path=settings.orders_file, max_age=_JUST_ASKED)
    return [Entry(name="orders every night", at=Cron("0 3 * * *"), query=orders)]
