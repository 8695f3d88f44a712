"""An answer as the callers of a function get it: kept as bytes, so that each has an object of its own."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from askonce.answer import Kept, StoredValue, decode, to_result

if TYPE_CHECKING:
    from askonce.answer import Result, Source
    from askonce.job import JobId, Key


class Raised(NamedTuple):
    """What the function raised: a value until its caller gets it, since StopIteration cannot leave a way."""

    error: BaseException
    #: Others share it; what ends a thread or a cancelled task is its own.
    is_shared: bool


def found_in(end: Found | Raised) -> Found:
    """Return the answer.

    Raises:
        BaseException: what the function raised.
    """
    if isinstance(end, Raised):
        raise end.error
    return end


class Found(NamedTuple):
    """An answer, and where it came from."""

    key: Key
    job: JobId
    #: As a Codec wrote it.
    data: bytes
    source: Source
    #: What is known of it beside its bytes.
    known: Kept | StoredValue | Result
    #: Seconds that it was in this process.
    since: float = 0.0
    #: Made or kept without the store.
    degraded: bool = False

    def value(self) -> object:
        """Return the value, decoded for one caller.

        Raises:
            AnswerUnreadable: it was written with a codec that is not installed here, or it is damaged.
        """
        return decode(self.data)

    def result(self) -> Result:
        """Return the value with its source, age and cost."""
        known = self.known.stored() if isinstance(self.known, Kept) else self.known
        if isinstance(known, StoredValue):
            known = to_result(self.key, self.job, known)
        degraded = self.degraded or known.degraded
        value, age = self.value(), known.age + self.since
        return replace(known, value=value, source=self.source, age=age, degraded=degraded)
