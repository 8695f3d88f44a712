"""Looks into the queue of a machine's broker, and does to it what a test needs: the same on each kind."""

from contextlib import contextmanager

from amqp import Connection, Message
from amqp.exceptions import NotFound
from redis import Redis

from tests.deadlines import stretched


class RedisQueue:
    """The list that kombu makes of a queue on Redis or Valkey."""

    NAME, HELD = "{jobs}:askonce", "{jobs}:unacked"
    #: What Celery calls it.
    CALLED = "askonce"

    def __init__(self, url):
        self._client = Redis.from_url(url)

    def waiting(self):
        """How many messages nobody has taken."""
        return self._client.llen(self.NAME)

    def is_settled(self, held=0):
        """Whether nothing waits, and workers hold so many messages."""
        return (self.waiting(), self._client.hlen(self.HELD)) == (0, held)

    def lose(self, how_many):
        """Drop the oldest messages."""
        assert len([self._client.rpop(self.NAME) for _ in range(how_many)]) == how_many

    def messages(self):
        """All that wait, to be put again."""
        return self._client.lrange(self.NAME, 0, -1)

    def put(self, messages):
        """Send copies."""
        self._client.lpush(self.NAME, *messages)

    def close(self):
        self._client.close()


class RabbitQueue:
    """A queue of RabbitMQ, in the virtual host of one test."""

    NAME = CALLED = "jobs:askonce"

    def __init__(self, port, host):
        self._place = {"host": f"127.0.0.1:{port}", "virtual_host": host, "confirm_publish": True}

    @contextmanager
    def _channel(self):
        with Connection(**self._place, connect_timeout=stretched(10)) as connection:
            yield connection.channel()

    def waiting(self, name=NAME):
        """How many messages nobody has taken."""
        try:
            with self._channel() as channel:
                return channel.queue_declare(name, passive=True).message_count
        except NotFound:
            return 0

    def delayed(self):
        """How many messages wait for their time."""
        return sum(self.waiting(f"celery_delayed_{level}") for level in range(28))

    def is_settled(self, held=0):
        """Whether nothing waits; what workers hold is not told by this protocol."""
        return self.waiting() == 0

    def lose(self, how_many):
        """Drop the oldest messages."""
        with self._channel() as channel:
            assert all(channel.basic_get(self.NAME, no_ack=True) for _ in range(how_many))

    def messages(self):
        """All that wait, to be put again; they go back when the channel ends."""
        found = []
        with self._channel() as channel:
            while message := channel.basic_get(self.NAME):
                found.append(message)
        return found

    def put(self, messages):
        """Send copies."""
        with self._channel() as channel:
            for message in messages:
                copy = Message(message.body, **message.properties)
                channel.basic_publish(copy, exchange=self.NAME, routing_key=self.NAME)

    def close(self):
        """Nothing stays open."""
