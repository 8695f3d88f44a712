"""The port to announcements: which workers live, which queues they take, and which tasks in which version.

A worker announces itself again every few seconds; an announcement that is not repeated ends by itself. No
verb depends on the list: it explains why a job waits.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import islice
from typing import TYPE_CHECKING, Protocol

import orjson

if TYPE_CHECKING:
    from collections.abc import Mapping

#: Seconds between two announcements of one worker.
INTERVAL = 5.0
#: Seconds for which an announcement is kept: a worker that is killed leaves the list after this time.
KEPT_FOR = 15.0
#: The longest time for which a store keeps one.
KEPT_FOR_AT_MOST = 60.0
#: So many workers are kept; those whose announcements end first make room.
WORKERS_KEPT = 500
#: Bytes of one announcement. One that is longer loses tasks and queues, and is not whole.
BYTES_KEPT = 16 << 10
#: Characters of a name, a version or a model.
_NAME_KEPT = 200


@dataclass(frozen=True, slots=True, kw_only=True)
class Announcement:
    """One worker. It never holds a payload or a secret."""

    #: Differs between any two processes.
    worker: str
    #: Its idempotent tasks, each with its version.
    tasks: Mapping[str, str]
    #: The models of those tasks that have one.
    models: Mapping[str, str] = field(default_factory=dict)
    #: The queues that it takes messages from.
    queues: tuple[str, ...]
    #: How many jobs it runs at once.
    slots: int
    #: Whether all its tasks and queues are here.
    whole: bool = True
    #: Given by the store: when its announcements began, in seconds since 1970 by the store's clock.
    since: float = 0.0
    #: Given by the store: how many seconds ago it was written.
    seen_in: float = 0.0
    #: Reserved; empty.
    pace: Mapping[str, float] = field(default_factory=dict)


class Announcements(Protocol):
    """The announcements on one store. All verbs are one round trip, and raise StoreUnavailable."""

    def announce(self, announcement: Announcement, ttl: float) -> None:
        """Keep *announcement* for *ttl* seconds, in place of the same worker's last one.

        Raises:
            ValueError: *ttl* is not more than 0, or is more than KEPT_FOR_AT_MOST.
        """

    def withdraw(self, worker: str) -> None:
        """Forget *worker*."""

    def workers(self) -> list[Announcement]:
        """Return the workers that live, by their names; a damaged announcement is left out."""


def encode(announcement: Announcement) -> bytes:
    """Return *announcement* as a JSON object of at most BYTES_KEPT, without what the store knows itself."""
    kept = max(len(announcement.tasks), len(announcement.queues))
    while len(encoded := orjson.dumps(_described(announcement, kept))) > BYTES_KEPT:
        kept //= 2
    return encoded


def decode(worker: str, data: bytes, *, since: float, seen_in: float) -> Announcement | None:
    """Return what *encode* wrote, without fields that this version does not know; None if it is damaged."""
    try:
        found = orjson.loads(data)
    except orjson.JSONDecodeError:
        return None
    if not (isinstance(found, dict) and is_name(worker) and _is_count(found.get("slots"))):
        return None
    tasks, models, queues = found.get("tasks"), found.get("models", {}), found.get("queues")
    if not (isinstance(tasks, dict) and isinstance(models, dict) and isinstance(queues, list)):
        return None
    known, taken = _names(tasks), tuple(filter(is_name, queues))
    return Announcement(
        worker=worker,
        tasks=known,
        models=_names(models),
        queues=taken,
        slots=found["slots"],
        whole=found.get("whole") is True and (len(known), len(taken)) == (len(tasks), len(queues)),
        since=since,
        seen_in=seen_in,
    )


def require_ttl(ttl: float) -> None:
    """Raise ValueError where a store may not keep an announcement for *ttl* seconds."""
    if not 0 < ttl <= KEPT_FOR_AT_MOST:
        raise ValueError(f"an announcement is kept for more than 0 and at most {KEPT_FOR_AT_MOST:g} seconds")


def _described(announcement: Announcement, kept: int) -> dict[str, object]:
    """Return the first *kept* tasks and queues, with the rest of the announcement."""
    tasks = _names(dict(islice(sorted(announcement.tasks.items()), kept)))
    queues = list(filter(is_name, announcement.queues[:kept]))
    return {
        "tasks": tasks,
        "models": {name: model for name, model in _names(announcement.models).items() if name in tasks},
        "queues": queues,
        "slots": announcement.slots,
        "whole": announcement.whole
        and (len(tasks), len(queues)) == (len(announcement.tasks), len(announcement.queues)),
        "pace": dict(announcement.pace),
    }


def _names(words: Mapping[str, object]) -> dict[str, str]:
    return {name: word for name, word in words.items() if isinstance(word, str) and _are_names(name, word)}


def _are_names(*words: str) -> bool:
    return all(map(is_name, words))


def is_name(word: object) -> bool:
    """Return whether *word* is kept as a name: it is shown on terminals, so without control characters."""
    return isinstance(word, str) and len(word) <= _NAME_KEPT and word.isprintable()


def _is_count(number: object) -> bool:
    return isinstance(number, int) and not isinstance(number, bool) and number >= 0
