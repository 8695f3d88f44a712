"""Looks at the queues of a broker through kombu: lists on Redis, passive declarations on RabbitMQ."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import orjson
from kombu.exceptions import OperationalError
from redis.exceptions import RedisError

from askonce.adapters.redis.link import ServerLink
from askonce.adapters.redis.servers import reason_of
from askonce.errors import BrokerUnavailable
from askonce.options import RESERVED_HEADER
from askonce.queues import Queue, Waiting

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from askonce.queues import Queues

#: Messages, and bytes of them, in which one message is looked for: the server serves no one else meanwhile.
_MOST_MESSAGES, _MOST_BYTES = 10_000, 16 << 20
#: KEYS list   ARGV what the message holds, most messages, most bytes
#: returns how many are delivered before it, -1 where it was not found. A list is delivered from its end.
_BEFORE = """
local seen, bytes = 0, 0
while seen < tonumber(ARGV[2]) and bytes < tonumber(ARGV[3]) do
  local items = redis.call('LRANGE', KEYS[1], -seen - 100, -seen - 1)
  for i = #items, 1, -1 do
    if string.find(items[i], ARGV[1], 1, true) then return seen + #items - i end
    bytes = bytes + #items[i]
  end
  if #items < 100 then return -1 end
  seen = seen + #items
end
return -1
"""


@contextmanager
def queues_of(connection: Any, names: Sequence[str]) -> Iterator[Queues]:  # noqa: ANN401  # kombu's
    """Lend the queues of *connection*'s broker, of which the application configures *names*."""
    is_redis = connection.transport.driver_type == "redis"
    queues = (RedisQueues if is_redis else DeclaredQueues)(connection, names)
    try:
        yield queues
    finally:
        queues.close()


class DeclaredQueues:
    """The queues of a broker that says how many messages it has, and shows none without a delivery."""

    def __init__(self, connection: Any, names: Sequence[str]) -> None:  # noqa: ANN401  # kombu's
        """Use *connection*; the application configures *names*."""
        self.names, self._connection = names, connection
        self._opened: Any = None

    def close(self) -> None:
        """Close the connection, where there is one."""
        if self._opened is not None:
            self._connection.transport.close_connection(self._opened)

    @contextmanager
    def _channel(self) -> Iterator[Any]:
        transport = self._connection.transport
        if self._opened is None:
            # kombu's own way tries again after two seconds, and a person waits.
            self._opened = transport.establish_connection()
        channel = transport.create_channel(self._opened)
        try:
            yield channel
        finally:
            channel.close()

    def look(self, names: Sequence[str]) -> list[Queue]:
        """Return the queues of these *names*."""
        with _answering(self._connection):
            return [Queue(name, self._messages(name)) for name in names]

    def _messages(self, name: str) -> int | None:
        # One that does not exist closes its channel.
        with self._channel() as channel:
            try:
                return int(channel.queue_declare(queue=name, passive=True).message_count)
            except self._connection.channel_errors:
                return None

    def peek(self, name: str, most: int) -> list[Waiting] | None:  # noqa: ARG002  # the port's
        """Return nothing: a delivery is counted, and a queue may drop what was delivered too often."""
        return None

    def before(self, name: str, priority: int, job: str) -> int | None:  # noqa: ARG002  # the port's
        """Return nothing."""
        return None

    def purge(self, name: str) -> int:
        """Delete the messages that wait."""
        with _answering(self._connection), self._channel() as channel:
            return int(channel.queue_purge(queue=name) or 0)


class RedisQueues(DeclaredQueues):
    """The queues of kombu's Redis transport: a list for each priority, the lowest number first."""

    def look(self, names: Sequence[str]) -> list[Queue]:
        """Return the queues of these *names*; one round trip."""
        with _answering(self._connection), self._channel() as channel:
            lists = [(key, step) for name in names for key, step in _lists(channel, name)]
            commands = [("LLEN", key) for key, _ in lists] + [("LRANGE", key, -1, -1) for key, _ in lists]
            replies = _ask(channel, *commands) if lists else []
        steps = len(channel.priority_steps)
        lengths, ends = replies[: len(lists)], replies[len(lists) :]
        return [
            _queue(name, lengths[n : n + steps], ends[n : n + steps], channel.priority_steps)
            for name, n in zip(names, range(0, len(lists), steps), strict=True)
        ]

    def peek(self, name: str, most: int) -> list[Waiting] | None:
        """Return the next messages."""
        found: list[Waiting] = []
        with _answering(self._connection), self._channel() as channel:
            for key, step in _lists(channel, name):
                if len(found) < most:
                    [items] = _raised(_ask(channel, ("LRANGE", key, len(found) - most, -1)))
                    found += [_waiting(item, step) for item in reversed(items)]
        return found

    def before(self, name: str, priority: int, job: str) -> int | None:
        """Return how many messages are delivered before that of *job*."""
        with _answering(self._connection), self._channel() as channel:
            lists, own = _lists(channel, name), channel.priority(priority)
            commands: list[tuple[Any, ...]] = [("LLEN", key) for key, step in lists if step < own]
            [key] = [key for key, step in lists if step == own]
            commands.append(("EVAL", _BEFORE, 1, key, job, _MOST_MESSAGES, _MOST_BYTES))
            *more_urgent, place = _raised(_ask(channel, *commands))
        return sum(more_urgent) + place if place >= 0 else None


def _lists(channel: Any, name: str) -> list[tuple[str, int]]:  # noqa: ANN401  # kombu's
    """Return the lists of a queue on the server, each with its priority, in the order of their delivery."""
    return [
        (f"{channel.global_keyprefix}{channel._q_for_pri(name, step)}", step)  # noqa: SLF001  # as kombu's own
        for step in channel.priority_steps
    ]


def _ask(channel: Any, *commands: tuple[Any, ...]) -> list[Any]:  # noqa: ANN401  # kombu's
    """Send *commands* in one round trip; kombu's own client would put its prefix before some names only."""
    link = ServerLink(channel._create_client())  # noqa: SLF001  # as our own channel
    try:
        return link.exchange(*commands)
    finally:
        link.close_idle()


def _raised(replies: list[Any]) -> list[Any]:
    for reply in replies:
        if isinstance(reply, RedisError):
            raise reply
    return replies


def _queue(name: str, lengths: Sequence[Any], ends: Sequence[Any], steps: Sequence[int]) -> Queue:
    if any(isinstance(length, RedisError) for length in lengths):
        # Something else has this name, or the user may not look at it.
        return Queue(name, None)
    items = [(end[0], step) for end, step in zip(ends, steps, strict=True) if isinstance(end, list) and end]
    used = tuple((step, length) for step, length in zip(steps, lengths, strict=True) if length)
    return Queue(name, sum(lengths), _waiting(*items[0]) if items else None, used)


def _waiting(item: bytes, step: int) -> Waiting:
    """Return what an operator may see of a message. Whoever may write to the queue may have written it."""
    try:
        headers = orjson.loads(item)["headers"]
        ours = (headers.get("headers") or headers).get(RESERVED_HEADER) or {}
        own = {name: ours.get(name) for name in ("key", "tenant", "run", "sent_at")}
        known = {"task": headers.get("task"), "id": headers.get("id"), **own}
    except (orjson.JSONDecodeError, KeyError, TypeError, AttributeError):
        known = {}
    kinds = Waiting._field_defaults
    typed = {name: value for name, value in known.items() if type(value) is type(kinds[name])}
    return Waiting(**typed, priority=step, size=len(item))


@contextmanager
def _answering(connection: Any) -> Iterator[None]:  # noqa: ANN401  # kombu's
    """Map the errors of a broker.

    Raises:
        BrokerUnavailable: it did not answer, or refused.
    """
    try:
        yield
    except (
        OperationalError,
        RedisError,
        OSError,
        *connection.connection_errors,
        *connection.channel_errors,
    ) as error:
        raise BrokerUnavailable(reason=reason_of(error)) from error
