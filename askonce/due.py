"""The port to answers by when they go stale: for what makes them anew before that, and for an operator."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence

    from askonce.job import Key


class GoingStale(NamedTuple):
    """An answer that is fresh, and goes stale soon. Times in seconds."""

    key: Key
    tenant: str
    version: str
    #: Canonical JSON; empty where it was not kept.
    payload: bytes
    age: float
    stale_in: float


class KeptAnswer(NamedTuple):
    """An answer that is kept, without its value. Times in seconds."""

    key: Key
    task: str
    version: str
    tenant: str
    tags: tuple[str, ...]
    age: float
    #: 0 where it is stale.
    fresh_for: float
    #: Then the record has no answer any more.
    kept_for: float


class Walked(NamedTuple):
    """How far a walk through the answers of one bucket has come."""

    bucket: int
    #: Where the last look ended, as its store says; 0 before the first.
    cursor: int = 0


class Meant(NamedTuple):
    """Whose answers are meant; None is any."""

    task: str | None = None
    tenant: str | None = None
    tag: str | None = None


#: Any answer.
ANY: Final = Meant()


class Due(Protocol):
    """The answers of one store."""

    def counts(self) -> list[int]:
        """Return how many answers each bucket has; one round trip.

        One that a mark removed counts until it would have gone stale.
        """

    def answers(self, walks: Sequence[Walked], meant: Meant = ANY) -> tuple[list[KeptAnswer], list[Walked]]:
        """Return some answers that are meant after each walk, and those that go on; one round trip.

        A walk to the end of a bucket meets each answer that is there from its start on; some of them twice.
        """

    def look(self, key: Key) -> KeptAnswer | None:
        """Return the answer of *key*, fresh or stale."""

    def going_stale(self, buckets: Sequence[int], task: str, within: float) -> list[GoingStale]:
        """Return answers of *task* that go stale *within* some seconds, and are wanted.

        Somebody asked for each since it was made. A key with a job under way, or that rests after a failure,
        is none of them. The cost follows what goes stale, not what is kept. One round trip for all *buckets*,
        more where many answers go stale.

        Raises:
            StoreUnavailable: the store did not answer.
        """
