"""Which rows of the inputs a run asks for: the first ones, some drawn at random, or all."""

from __future__ import annotations

from hashlib import sha256
from itertools import islice, takewhile
from typing import TYPE_CHECKING

from askonce.rows import Row
from producer.inputs import InputChanged
from producer.run.again import drawn

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from askonce.rows import BadRow
    from producer.inputs import Inputs
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
    rows: Iterable[Row | BadRow | None],
    known: Sequence[int],
    keep: Callable[[int, int], object],
    *,
    all_rows: bool,
) -> Iterator[Row | BadRow | None]:
    """Yield *rows*: what can be read only once is compared row by row with what an earlier start has read.

    *known* has the digest of each row of that one, by its number; *keep* takes those of others. *all_rows*
    are those of the whole input.

    Raises:
        InputChanged: a row is another one than at the start of the run, or is missing.
    """
    last = 0
    for row in rows:
        if row is not None:
            last, digest = row.number, _digest_of(row)
            if last >= len(known):
                keep(last, digest)
            elif known[last] != digest:
                reason = "is another row than when the run began: choose another --out"
                raise InputChanged(row.place or f"row {last}", reason)
        yield row
    if all_rows and last + 1 < len(known):
        reason = "is missing, and was there before: choose another --out"
        raise InputChanged(f"row {last + 1}", reason)


def _digest_of(row: Row | BadRow) -> int:
    """Return 64 bits of a digest of what *row* holds; of a bad row that is not kept."""
    content = repr(row.payload) if isinstance(row, Row) else f"bad {row.field}"
    return int.from_bytes(sha256(content.encode(errors="surrogatepass")).digest()[:8], "big", signed=True)
