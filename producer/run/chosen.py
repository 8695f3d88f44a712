"""Which rows of the inputs a run asks for: the first ones, some drawn at random, or all."""

from __future__ import annotations

from contextlib import suppress
from itertools import islice, takewhile
from typing import TYPE_CHECKING

from askonce.errors import PayloadInvalid
from askonce.key import identify
from askonce.rows import Row
from producer.inputs import InputChanged
from producer.run.again import drawn

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from askonce.rows import BadRow
    from askonce.spec import JobSpec
    from producer.inputs import Inputs
    from producer.run.sinks import Kept
    from producer.run.wanted import Wanted


def number_of_rows(inputs: Inputs, wanted: Wanted) -> int | None:
    """Return how many rows will be read; None where the inputs cannot be read twice."""
    total = inputs.check()
    chosen = wanted.limit if wanted.sample is None else wanted.sample
    return total if total is None or chosen is None else min(total, chosen)


def chosen_rows(inputs: Inputs, wanted: Wanted, last_row: int | None = None) -> Iterator[Row | BadRow]:
    """Return the rows that the caller wants, up to *last_row*."""
    rows = inputs.rows()
    if last_row is not None:
        rows = takewhile(lambda row: row.number <= last_row, rows)
    if wanted.limit is not None:
        return islice(rows, wanted.limit)
    if wanted.sample is None:
        return rows
    chosen = drawn(wanted.sample, inputs.check() or 0)
    return (row for row in rows if row.number in chosen)


def unless_changed(
    rows: Iterable[Row | BadRow | None], kept: Kept, spec: JobSpec, tenant: str, *, all_rows: bool
) -> Iterator[Row | BadRow | None]:
    """Yield *rows*: what can be read only once has no digest, so each row is compared with its kept line.

    *all_rows* are those of the whole input.

    Raises:
        InputChanged: a row is another one than at the start of the run, or is missing.
    """
    last = 0
    for row in rows:
        last = last if row is None else row.number
        if isinstance(row, Row) and (key := kept.key_of(row.number)):
            with suppress(PayloadInvalid):
                if identify(spec, row.payload, tenant).key != key:
                    reason = "is another row than when the run began: choose another --out"
                    raise InputChanged(row.place or f"row {row.number}", reason)
        yield row
    if all_rows and last < kept.last_row:
        reason = "is missing, and was there before: choose another --out"
        raise InputChanged(f"row {last + 1}", reason)
