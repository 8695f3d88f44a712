"""What was given up: jobs in quarantine, and messages that are no job. For a person to look at and decide.

A job in quarantine leaves it only by being admitted anew, by being forgotten, or after a week. A message that
no worker could use is a *letter*: kept as it was, within bounds, so that it can be sent again.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

from askonce.store import Store

if TYPE_CHECKING:
    from collections.abc import Sequence

#: So many letters are kept, the newest; older ones make room.
LETTERS_KEPT = 1000
#: Seconds for which letters are kept after the newest one came.
LETTERS_KEPT_FOR = 604_800.0
#: Bytes of a message that are kept; a longer one is cut, and can not be sent again.
BODY_KEPT = 256 << 10


@dataclass(frozen=True, slots=True, kw_only=True)
class Quarantined:
    """A job whose attempts are spent. Times in seconds since 1970, by the store's clock."""

    key: str
    job: str
    task: str
    #: See askonce.key.split_edition; empty where the record does not know it.
    edition: str
    reason: str
    attempts: int
    #: One word for each attempt that failed or was lost, the last eight, and what ended the job.
    history: tuple[str, ...]
    since: float
    until: float
    #: The canonical payload, where it was asked for.
    payload: bytes = b""


@dataclass(frozen=True, slots=True, kw_only=True)
class Letter:
    """A message that no worker could use, as it was in the queue."""

    #: A short stable word: ``undecodable``, ``unknown_task``, ``invalid_task``,
    #: ``invalid_payload``, ``identity_mismatch``, ``garbage``.
    reason: str
    task: str = ""
    job: str = ""
    #: Where it was taken from.
    queue: str = ""
    #: JSON object of what it is besides its body: headers, content type and encoding.
    about: bytes = b"{}"
    body: bytes = b""
    #: Its bytes before it was cut.
    size: int = 0
    #: Given by the store: when it was kept, in milliseconds since 1970, and a number.
    id: str = ""

    @property
    def whole(self) -> bool:
        """Whether it can be sent again."""
        return len(self.body) == self.size


class DeadStore(Store, Protocol):
    """A store that shows what was given up. All raise StoreUnavailable as the verbs do."""

    def dead(self) -> list[tuple[str, float]]:
        """Return (key, kept until) of every job in quarantine, the oldest first; one round trip."""

    def show(self, keys: Sequence[str], *, payload: bool = False) -> list[Quarantined | None]:
        """Show jobs in quarantine; None for a key that is not. One round trip."""

    def keep_letter(self, letter: Letter) -> None:
        """Keep *letter*, cut to BODY_KEPT."""

    def letters(self) -> list[Letter]:
        """Return every letter, the oldest first."""

    def drop_letters(self, ids: Sequence[str]) -> int:
        """Forget letters; return how many were there."""
