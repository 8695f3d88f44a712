"""What a reading has where a server cannot be read, and what the log says of it."""

import pytest
from celery import Celery
from redis.exceptions import ConnectionError as RedisConnectionError

from askonce.adapters.celery.lengths import QueueLengths
from askonce.adapters.memory import MemoryStore
from askonce.announcements import Announcement
from askonce.errors import StoreUnavailable
from askonce.job import Routing
from tests.jobs import new_claim
from worker.metrics.exposition import Exposition
from worker.metrics.reading import Reader

SECRET = "geheim-4711"


class Broker:
    """Stands in for the lengths of the queues; raises what it is given."""

    def __init__(self):
        self.error, self.named, self.lengths = None, [], {}

    def of(self, queues):
        self.named = list(queues)
        if self.error:
            raise self.error
        return {name: self.lengths.get(name, 0) for name in self.named}

    def close(self):
        pass


@pytest.fixture
def broker():
    return Broker()


@pytest.fixture
def store(clock):
    return MemoryStore(clock)


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


def test_entries_of_the_schedule_are_read(store, broker):
    store.schedules.pause("night", "too dear")

    reading = Reader(store, ["askonce"], broker, ["night", "day"]).read()

    assert {"night": "too dear", "day": None} == {
        name: state.paused for name, state in reading.store.entries.items()
    }
    assert {} == Reader(store, ["askonce"], broker).read().store.entries


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


def take(store, *queues):
    """Take *queues* as a worker does, and be gone."""
    store.announcements.announce(Announcement(worker="w", tasks={}, queues=queues, slots=1), 15.0)
    store.announcements.withdraw("w")


def test_queue_that_never_had_a_worker_has_series(reader, store, broker):
    claim = new_claim("0a" * 32)
    store.admit(claim._replace(job=claim.job._replace(routing=Routing("bulk"))))
    broker.lengths = {"bulk": 3}

    lines = Exposition({}).text(reader.read()).decode().splitlines()

    assert {
        'askonce_queue_messages{queue="bulk"} 3.0',
        'askonce_queue_workers{queue="bulk"} 0.0',
    } <= set(lines)


def test_unused_queue_that_the_broker_does_not_know_has_no_series(reader, store, broker):
    take(store, "bulk", "askonce")
    broker.lengths = {"bulk": None, "askonce": None}

    assert {"askonce": None} == reader.read().queues


def test_queue_that_was_used_long_ago_has_series_while_messages_wait_there(reader, store, broker, clock):
    take(store, "full", "empty")
    clock.advance(2 * 86_400)
    take(store, "lately")
    clock.advance(6 * 86_400)
    broker.lengths = {"full": 1}

    assert {"askonce": 0, "full": 1, "lately": 0} == reader.read().queues


def test_queues_that_were_used_last_are_read_within_the_limit(reader, store, broker, clock):
    take(store, "before")
    clock.advance(86_400)
    used = [f"used-{n:02}" for n in range(70)]
    take(store, *used[40:])
    clock.advance(60)
    take(store, *used[:40])

    reader.read()

    assert ["askonce", *used[:50]] == broker.named


def test_queue_that_a_worker_takes_is_read_before_those_that_callers_name(reader, store, broker):
    take(store, *(f"a{n:02}" for n in range(60)))
    worker = Announcement(worker="w", tasks={}, queues=("own",), slots=1)
    store.announcements.announce(worker, 15.0)

    reader.read()

    assert "own" in broker.named


def test_successes_of_the_schedule_are_read_from_the_store(reader, store):
    store.tally.succeeded("nightly")

    assert ["nightly"] == list(reader.read().store.successes)


def test_connection_that_fails_is_opened_anew(store):
    app = Celery("lengths", broker="redis://127.0.0.1:1/0", set_as_current=False)
    lengths = QueueLengths(app)
    for _ in range(2):
        with pytest.raises(RedisConnectionError, match="refused"):
            lengths.of(["askonce"])
