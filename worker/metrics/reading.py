"""Reads what the metrics are made of: the store's counters and levels, its workers, the broker's queues.

Nothing is counted here, so a restart of this process loses nothing, and many of them agree.
"""

from __future__ import annotations

import logging
import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

from askonce.errors import StoreUnavailable
from askonce.pace.away import Away, away
from askonce.used_queues import NOTED_EVERY

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence

    from askonce.announcements import Announcement
    from askonce.controls import Pause
    from askonce.levels import Levels
    from askonce.schedules import EntryState
    from askonce.store import Store
    from askonce.tally import Counter

_log = logging.getLogger("askonce")
#: Queues in use that are not in the settings; each has series of its own.
_OTHERS_AT_MOST = 50
#: Seconds for which an empty queue keeps its series after its last use.
_UNUSED_KEPT = 7 * 86_400


@dataclass(frozen=True, slots=True, kw_only=True)
class OfStore:
    """What the store has at one moment."""

    counted: Mapping[Counter, int]
    levels: Levels
    #: The queues in use, each with how many seconds ago.
    used_queues: Mapping[str, float] = field(default_factory=dict)
    workers: Sequence[Announcement] = ()
    pauses: Collection[Pause] = ()
    away: Sequence[Away] = ()
    #: When each entry of the schedule succeeded last, in seconds since 1970.
    successes: Mapping[str, float] = field(default_factory=dict)
    #: What is known of each entry whose slots the store decides.
    entries: Mapping[str, EntryState] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Reading:
    """One reading; None for a server that could not be read: no old number stands in for it."""

    store: OfStore | None
    #: Messages by queue; None where the broker cannot say for certain.
    queues: Mapping[str, int | None] | None
    #: How long it took.
    seconds: float = field(default=0.0, compare=False)


class Lengths(Protocol):
    """Knows how many messages wait; see ``QueueLengths``."""

    def of(self, queues: Iterable[str]) -> dict[str, int | None]:
        """Return how many wait in each of *queues*; None where the broker cannot say for certain."""

    def close(self) -> None:
        """Close the connection."""


class Reader:
    """Reads one store and one broker; for one thread."""

    def __init__(
        self, store: Store, queues: Iterable[str], lengths: Lengths, entries: Iterable[str] = ()
    ) -> None:
        """Connect at the first reading; *queues* are those that are read whether or not they are in use.

        *entries* are those of the schedule whose slots the store decides.
        """
        self._store, self._lengths, self._entries = store, lengths, tuple(entries)
        self._queues = tuple(sorted(queues))
        self._down: dict[str, str] = {}

    def read(self) -> Reading:
        """Read both; takes the servers' time limits at most."""
        began = time.perf_counter()
        store = self._of_store()
        queues = self._of_broker(store)
        return Reading(store=store, queues=queues, seconds=time.perf_counter() - began)

    def close(self) -> None:
        """Close the connection to the broker."""
        self._lengths.close()

    def _of_store(self) -> OfStore | None:
        store = self._store
        try:
            found = OfStore(
                counted=store.tally.totals(),
                levels=store.levels(),
                used_queues=store.used_queues(),
                workers=store.announcements.workers(),
                pauses=store.controls.pauses(),
                away=away(store.boards, time.time()),
                successes=store.tally.successes(),
                entries=store.schedules.look(self._entries).states if self._entries else {},
            )
        except StoreUnavailable as error:
            self._report("store", error.reason)
            return None
        self._report("store", "")
        return found

    def _of_broker(self, store: OfStore | None) -> Mapping[str, int | None] | None:
        taken = {name for each in store.workers for name in each.queues} if store else set()
        others = self._others(store, taken)
        try:
            found = self._lengths.of([*self._queues, *others])
        except Exception as error:  # noqa: BLE001  # whatever the transport raises: the store's part is there
            self._report("broker", type(error).__name__)
            return None
        self._report("broker", "")
        # Nothing waits in a queue that the broker does not know.
        kept = {name for name, unused in others.items() if found[name] is not None and unused < _UNUSED_KEPT}
        shown = {*self._queues, *taken, *kept}
        return {name: length for name, length in found.items() if length or name in shown}

    def _others(self, store: OfStore | None, taken: Collection[str]) -> dict[str, float]:
        """Return queues beside those of the settings, each with for how many seconds it was not used."""
        used = store.used_queues if store else {}

        def turn(name: str) -> tuple[bool, float, str]:
            # Callers name queues: those that workers take come first. Each use is noted again within an hour:
            # those in use stay in one order.
            return name not in taken, used[name] // (2 * NOTED_EVERY), name

        names = sorted(used.keys() - set(self._queues), key=turn)
        return {name: used[name] for name in names[:_OTHERS_AT_MOST]}

    def _report(self, server: str, reason: str) -> None:
        """Log once that a server cannot be read, and once that it can again."""
        if reason == self._down.get(server, ""):
            return
        self._down[server] = reason
        if reason:
            _log.warning(
                "metrics: the %s cannot be read (%s); its series are missing until it can", server, reason
            )
        else:
            _log.info("metrics: the %s is read again", server)
