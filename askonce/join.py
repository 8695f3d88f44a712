"""Joins the kept answer to one caller's own row: the record keeps what was found, never the row."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from askonce.errors import AnswerUnreadable
from askonce.mistake import name_of

if TYPE_CHECKING:
    from askonce.answer import Result
    from askonce.spec import JobSpec

Join = Callable[["Result"], "Result"]


def as_it_is(result: Result) -> Result:
    """Return *result* for a caller without a row."""
    return result


def join_to(spec: JobSpec, row: Mapping[str, object] | None) -> Join:
    """Return the function that joins an answer to *row*, the payload as one caller gave it."""
    present = spec.present
    if present is None or row is None:
        return as_it_is
    # The caller may change its own object before the answer is there.
    row = dict(row)
    return lambda result: replace(result, value=joined(present, row, result.value))


def joined(
    present: Callable[[Mapping[str, object], object], object], row: Mapping[str, object], value: object
) -> object:
    """Return *value* as *present* joins it to *row*.

    Raises:
        AnswerUnreadable: *present* failed. The answer stays kept.
    """
    try:
        return present(row, value)
    except Exception as exc:
        raise AnswerUnreadable(reason=f"cannot be joined to the row: {name_of(exc)}") from exc
