"""Celery's result of a job that several callers share, joined to the row of one of them."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, Self

from celery.result import AsyncResult
from celery.states import FAILURE, SUCCESS

from askonce.errors import AnswerUnreadable
from askonce.join import joined

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


class RowResult(AsyncResult):  # type: ignore[type-arg]  # generic in the stubs only
    """The backend keeps the answer under the job's id; ``get`` and ``result`` join it to the caller's row.

    An AsyncResult that is made of the id alone has no row: it returns the answer as it is kept.
    """

    def __init__(
        self,
        *celerys: Any,
        present: Callable[[Mapping[str, object], object], object],
        row: Mapping[str, object],
        **options: Any,
    ) -> None:
        """Follow a job, whose answer *present* joins to *row*; the rest is as for an AsyncResult."""
        super().__init__(*celerys, **options)
        self._present, self._row = present, row

    def __copy__(self) -> Self:
        """Keep the row in a copy."""
        again = partial(type(self), self.id, self.backend, app=self.app, parent=self.parent)
        return again(present=self._present, row=self._row)

    def __reduce__(self) -> tuple[Any, ...]:
        """Keep the row in a pickle, where *present* can be pickled."""
        again = partial(type(self), present=self._present, row=self._row)
        return again, self.__reduce_args__()

    def _set_cache(self, d: dict[str, Any]) -> dict[str, Any]:
        """Keep what the backend returned: every way to the answer goes through here."""
        if d["status"] == SUCCESS:
            try:
                d = {**d, "result": joined(self._present, self._row, d["result"])}
            except AnswerUnreadable as error:
                d = {**d, "status": FAILURE, "result": error}
        kept: dict[str, Any] = super()._set_cache(d)  # type: ignore[misc]  # the stubs do not know it
        return kept
