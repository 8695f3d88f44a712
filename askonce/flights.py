"""The port to all jobs of a store: which are in flight, and how each of them stands.

No verb depends on it: it is for an operator, who lists jobs or looks for one of them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from askonce.job import Key
    from askonce.record import Snapshot


class Flights(Protocol):
    """The jobs of one store. All verbs raise StoreUnavailable, and change nothing."""

    def counts(self) -> list[int]:
        """Return how many jobs are in flight in each bucket; one round trip."""

    def keys(self, buckets: Sequence[int]) -> list[Key]:
        """Return the keys of the jobs in flight in *buckets*; one round trip, each bucket read atomically."""

    def find(self, buckets: Sequence[int], task: str, fields: Mapping[str, object]) -> list[Key]:
        """Return the jobs of *task* in *buckets* whose payload has all *fields*; one round trip.

        Only a job in flight or in quarantine has a payload. Numbers and texts are compared as they are.
        """

    def show(self, keys: Sequence[Key]) -> list[Snapshot]:
        """Return records as ``Store.read``, but each answer without its data; one round trip."""

    def walk(self) -> Iterator[list[Key]]:
        """Yield the keys of all records, some at a time: also of those without a job in flight.

        A record that is there from start to end is met, perhaps more than once; another one perhaps.
        """
