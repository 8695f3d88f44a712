"""What a store tells those who listen: jobs that ended, and answers that were invalidated.

Either may be missed: only the record is certain.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from askonce.job import Key


class Subscription(Protocol):
    """Wake-ups for finished jobs. A wake-up may be missed: only the record is certain."""

    def add(self, keys: Sequence[Key]) -> None:
        """Listen for *keys* too; one round trip at most."""

    def leave(self, keys: Sequence[Key]) -> None:
        """Listen for *keys* no more."""

    def wait(self, timeout: float) -> frozenset[Key]:
        """Return the keys whose wake-up came within *timeout* seconds, possibly none."""

    def bell(self) -> Callable[[], None]:
        """Return a function that ends the wait under way, or the next one; any thread may call it."""


class Invalidations(Protocol):
    """Keys of answers that were invalidated."""

    def wait(self, timeout: float) -> frozenset[Key] | None:
        """Return the keys that came within *timeout* seconds, possibly none; None where any may have.

        Raises:
            StoreUnavailable: nothing is heard any more.
        """
