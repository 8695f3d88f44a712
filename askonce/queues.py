"""The port to a broker's queues, for an operator: how long they are, and which messages wait in them.

A message is the way to a worker; the record is the job. What happens to messages here ends no job.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Sequence


class Waiting(NamedTuple):
    """One message that waits. It never holds a payload, and is empty where it is no task's message."""

    task: str = ""
    #: The message's own id; the job's, unless the message was sent again.
    id: str = ""
    #: Of the job; empty for a message that askonce did not send.
    key: str = ""
    tenant: str = ""
    run: str = ""
    #: Milliseconds since 1970 by the store's clock; 0 where that is unknown.
    sent_at: int = 0
    #: The broker's own number.
    priority: int = 0
    #: Bytes.
    size: int = 0


class Queue(NamedTuple):
    """One queue as the broker shows it."""

    name: str
    #: How many messages wait; None where the broker does not say.
    messages: int | None
    #: The message that is delivered next; None where there is none, or where it cannot be seen.
    next: Waiting | None = None
    #: The broker's own numbers, the most urgent first, each with how many messages have it; empty where the
    #: broker does not say.
    priorities: tuple[tuple[int, int], ...] = ()


class Queues(Protocol):
    """The queues of one broker. All verbs raise BrokerUnavailable."""

    @property
    def names(self) -> Sequence[str]:
        """The queues that the application configures; workers may take others."""

    def look(self, names: Sequence[str]) -> list[Queue]:
        """Return the queues of these *names*."""

    def peek(self, name: str, most: int) -> list[Waiting] | None:
        """Return the next messages, *most* at most; None where the broker shows none without a delivery."""

    def before(self, name: str, priority: int, job: str) -> int | None:
        """Return how many messages are delivered before that of *job*; None where that is unknown.

        It is unknown where the message is not among the first ten thousand, or 16 MB.
        """

    def purge(self, name: str) -> int:
        """Delete the messages that wait; return how many. The records of their jobs stay."""
