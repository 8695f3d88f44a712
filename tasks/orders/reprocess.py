"""Enqueues every order of a file, so that their answers are made anew; the body of ``orders.reprocess``."""

from __future__ import annotations

import logging
from collections import Counter
from typing import TYPE_CHECKING, BinaryIO

from askonce.errors import LayoutNewer, PayloadInvalid, RecordDamaged, SendFailed, StoreUnavailable
from askonce.line import one_line
from askonce.rows import BadRow, read_rows
from settings.environment import SettingsInvalid

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from askonce.outcomes import Outcome
    from askonce.rows import Row

    Enqueue = Callable[[Mapping[str, object]], Outcome]

log = logging.getLogger("askonce")


def reprocess(file: Path | None, enqueue: Enqueue) -> dict[str, int]:
    """Enqueue each row of *file*; return how many rows had which outcome.

    A row that cannot be used is logged with its number and its field, and the others go on.

    Raises:
        SettingsInvalid: there is no such file.
        StoreUnavailable, SendFailed: the rows after this one are not enqueued.
    """
    counts = Counter[str]()
    with _opened(file) as stream:
        for row in read_rows(stream):
            counts[_enqueued(row, enqueue)] += 1
    shown = " ".join(f"{outcome}={rows}" for outcome, rows in sorted(counts.items()))
    log.info("orders.reprocessed rows=%d %s", counts.total(), shown)
    return dict(counts)


def _opened(file: Path | None) -> BinaryIO:
    reason: str | None = "the variable is not set"
    if file is not None:
        try:
            return file.open("rb")
        except OSError as exc:
            reason = exc.strerror
    unusable = SettingsInvalid(f"ORDERS_FILE: must name a readable file of orders: {reason}")
    # Celery logs no line for an error that the task may raise.
    log.error("orders.unreadable %s", unusable)
    raise unusable


def _enqueued(row: Row | BadRow, enqueue: Enqueue) -> str:
    """Enqueue *row*; return the name of its outcome."""
    if isinstance(row, BadRow):
        return _refused(row.number, "invalid", f"{row.field} {row.reason}")
    try:
        return type(enqueue(row.payload)).__name__.lower()
    except PayloadInvalid as exc:
        fields = "; ".join(f"{field} {reason}" for field, reason in exc.reasons.items())
        return _refused(row.number, "invalid", fields)
    except (LayoutNewer, RecordDamaged) as exc:
        # Of this row's record: the other rows go on.
        return _refused(row.number, "unreadable", str(exc))
    except (StoreUnavailable, SendFailed) as exc:
        log.warning("orders.interrupted row=%d reason=%s", row.number, exc)
        raise


def _refused(number: int, outcome: str, why: str) -> str:
    # The name of a field is the row's own.
    log.warning("%s", one_line(f"orders.refused row={number} {outcome}: {why}"))
    return outcome
