"""What a reading has where a server cannot be read, and what the log says of it."""

import pytest
from celery import Celery
from redis.exceptions import ConnectionError as RedisConnectionError

from askonce.adapters.celery.lengths import QueueLengths
from askonce.adapters.memory import MemoryStore
from askonce.announcements import Announcement
from askonce.errors import StoreUnavailable
from worker.metrics.reading import Reader

SECRET = "geheim-4711"


class Broker:
    """Stands in for the lengths of the queues; raises what it is given."""

    def __init__(self):
        self.error, self.named = None, []

    def of(self, queues):
        self.named = list(queues)
        if self.error:
            raise self.error
        return dict.fromkeys(self.named, 0)

    def close(self):
        pass


@pytest.fixture
def broker():
    return Broker()


@pytest.fixture
def store():
    return MemoryStore()


@pytest.fixture
def reader(store, broker):
    return Reader(store, ["askonce"], broker)


def fail(store, reason):
    def refuse():
        raise StoreUnavailable(verb="read", reason=reason)

    store.tally.totals = refuse


def test_store_that_refuses_leaves_the_queues_and_is_logged_once(reader, store, caplog):
    caplog.set_level("INFO", "askonce")
    fail(store, "noperm")
    for _ in range(3):
        reading = reader.read()
        assert (None, {"askonce": 0}) == (reading.store, reading.queues)
    del store.tally.totals
    assert reader.read().store is not None

    assert [
        "metrics: the store cannot be read (noperm); its series are missing until it can",
        "metrics: the store is read again",
    ] == caplog.messages


def test_other_reason_is_logged_anew(reader, store, caplog):
    caplog.set_level("INFO", "askonce")
    for reason in ("noperm", "noperm", "TimeoutError"):
        fail(store, reason)
        reader.read()

    assert ["noperm", "TimeoutError"] == [
        line.partition("(")[2].partition(")")[0] for line in caplog.messages
    ]


def test_broker_that_fails_leaves_the_store_and_its_text_is_not_logged(reader, broker, caplog):
    caplog.set_level("INFO", "askonce")
    broker.error = OSError(f"redis://:{SECRET}@host refused")

    reading = reader.read()

    assert reading.queues is None
    assert reading.store is not None
    assert [
        "metrics: the broker cannot be read (OSError); its series are missing until it can"
    ] == caplog.messages


def test_queues_that_workers_take_are_read_within_a_limit(reader, store, broker):
    queues = tuple(f"own-{n:02}" for n in range(70))
    worker = Announcement(worker="w", tasks={}, queues=("askonce", *queues), slots=1)
    store.announcements.announce(worker, 15.0)

    reader.read()

    assert ["askonce", *queues[:50]] == broker.named


def test_connection_that_fails_is_opened_anew(store):
    app = Celery("lengths", broker="redis://127.0.0.1:1/0", set_as_current=False)
    lengths = QueueLengths(app)
    for _ in range(2):
        with pytest.raises(RedisConnectionError, match="refused"):
            lengths.of(["askonce"])
