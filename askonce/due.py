"""The port to answers by when they go stale, for what makes them anew before that."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol

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


class Due(Protocol):
    """The answers of one store."""

    def going_stale(self, buckets: Sequence[int], task: str, within: float) -> list[GoingStale]:
        """Return answers of *task* that go stale *within* some seconds, and are wanted.

        Somebody asked for each since it was made. A key with a job under way, or that rests after a failure,
        is none of them. The cost follows what goes stale, not what is kept. One round trip for all *buckets*,
        more where many answers go stale.

        Raises:
            StoreUnavailable: the store did not answer.
        """
