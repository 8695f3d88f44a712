"""What the query of an entry finds, one payload at a time."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from askonce.job import Key
    from askonce.letters import DeadJob


class Refused(Exception):
    """An entry cannot be asked for."""

    def __init__(self, word: str, text: str) -> None:
        """Say why in a short stable *word*, and in a *text* of one line."""
        super().__init__(text)
        self.word = word


class Item(NamedTuple):
    """One payload to enqueue."""

    #: Its name within the slot.
    name: str
    #: Where the query goes on after it, in JSON.
    mark: object
    #: Where people find it.
    place: str
    payload: Mapping[str, object]
    options: Mapping[str, object]
    #: The dead letter that it was.
    dead: DeadJob | None = None

    @property
    def letter(self) -> Key | None:
        """The key of the dead letter that it was."""
        return None if self.dead is None else self.dead.job.key


class Unusable(NamedTuple):
    """What is no payload; *reason* never quotes it."""

    name: str
    mark: object
    place: str
    field: str
    reason: str


class Found(Protocol):
    """What a query finds."""

    def items(self, mark: object) -> Iterator[Item | Unusable]:
        """Yield what comes after *mark*, that of an earlier one; None is the start.

        Raises:
            Refused: nothing of it can be asked for.
            StoreUnavailable: the store did not answer.
        """
