"""The port to all jobs of a store: which are in flight, and how each of them stands.

No verb depends on it: it is for an operator, who lists jobs or looks for one of them.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Final, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from askonce.job import Key
    from askonce.record import Snapshot


#: Any payload.
NO_FIELDS: Final[Mapping[str, object]] = MappingProxyType({})


class Names(NamedTuple):
    """Whose jobs are meant; None is any."""

    task: str | None = None
    tenant: str | None = None
    #: The run that enqueued a job first.
    run: str | None = None


class Flights(Protocol):
    """The jobs of one store. All verbs raise StoreUnavailable, and change nothing."""

    def counts(self) -> list[int]:
        """Return how many jobs are in flight in each bucket; one round trip."""

    def keys(self, buckets: Sequence[int]) -> list[Key]:
        """Return the keys of the jobs in flight in *buckets*; one round trip, each bucket read atomically."""

    def find(
        self, buckets: Sequence[int], names: Names, fields: Mapping[str, object] = NO_FIELDS
    ) -> list[Key]:
        """Return the jobs in flight or in quarantine in *buckets* that have these *names*; one round trip.

        Their payloads have all *fields*. Numbers and texts are compared as they are.
        """

    def show(self, keys: Sequence[Key]) -> list[Snapshot]:
        """Return records as ``Store.read``, but each answer without its data; one round trip."""

    def walk(self) -> Iterator[list[Key]]:
        """Yield the keys of all records, some at a time: also of those without a job in flight.

        A record that is there from start to end is met, perhaps more than once; another one perhaps.
        """
