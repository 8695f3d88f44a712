from contextlib import closing

import orjson
import pytest

from askonce.adapters.redis import RedisStore
from askonce.announcements import BYTES_KEPT, Announcement
from askonce.errors import StoreUnavailable
from askonce.used_queues import USE_KEPT

pytestmark = pytest.mark.integration

ANNOUNCEMENT = Announcement(worker="w", tasks={"orders": "1"}, queues=("fast",), slots=8)
LIST = "{askonce:test:b00}:workers"
QUEUES = "{askonce:test:b00}:queues"


@pytest.fixture
def board(store_url):
    with closing(RedisStore.from_url(store_url, namespace="test")) as store:
        yield store.announcements


def foreign(client, name, **fields):
    """Put what is no announcement of ours under a name in the list."""
    now = client.time()[0] * 1000
    client.zadd(LIST, {name: now + 60_000})
    client.hset(f"{LIST}:{name}", mapping={"at": now, "since": now, **fields})


def test_every_key_of_an_announcement_ends_by_itself(board, client):
    board.announce(ANNOUNCEMENT, 15.0)

    left = {key.decode(): client.pttl(key) for key in client.keys("*")}

    assert {LIST, f"{LIST}:w", QUEUES} == set(left)
    assert 0 < left[f"{LIST}:w"] <= 15_000
    assert 0 < left[LIST] <= 60_000
    assert 0 < left[QUEUES] <= USE_KEPT * 1000


def test_name_of_a_worker_whose_time_is_over_leaves_the_list(board, client):
    client.zadd(LIST, {"gone": (client.time()[0] - 1) * 1000})

    board.announce(ANNOUNCEMENT, 15.0)

    assert [b"w"] == client.zrange(LIST, 0, -1)


def test_what_is_no_announcement_is_left_out(board, client):
    board.announce(ANNOUNCEMENT, 15.0)
    sound = orjson.dumps({"tasks": {}, "queues": [], "slots": 1})
    foreign(client, "damaged", said=b"{")
    foreign(client, "empty")
    foreign(client, "timeless", said=sound, at="soon")
    foreign(client, "long", said=sound + b" " * BYTES_KEPT)
    foreign(client, "other", said=sound)
    client.delete(f"{LIST}:other")
    client.set(f"{LIST}:other", "of another type")
    client.zadd(LIST, {"gone": client.time()[0] * 1000 + 60_000})

    assert ["w"] == [each.worker for each in board.workers()]


def test_list_that_is_of_another_type_is_a_store_that_fails(board, client):
    client.set(LIST, "no list")

    for action in (
        lambda: board.announce(ANNOUNCEMENT, 15.0),
        lambda: board.withdraw("w"),
        board.workers,
    ):
        with pytest.raises(StoreUnavailable):
            action()


def test_each_verb_of_announcements_is_one_write(tcp_server, commands):
    with closing(RedisStore.from_url(tcp_server.url, namespace="trips")) as store:
        board = store.announcements
        board.announce(ANNOUNCEMENT, 15.0)
        board.workers()

        # With its queues.
        assert ["announce", "EVAL"] == commands(lambda: board.announce(ANNOUNCEMENT, 15.0))
        assert ["workers"] == commands(board.workers)
        assert ["ZREM", "DEL"] == commands(lambda: board.withdraw("w"))
