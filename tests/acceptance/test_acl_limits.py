"""What a user of each role can still do to others, and what it cannot: each line of docs/security.md."""

import threading
from pathlib import Path

import pytest
from redis import Redis
from redis.exceptions import NoPermissionError, RedisError, ResponseError

from askonce.adapters.redis import RedisStore
from askonce.errors import StoreUnavailable
from sandbox.valkey import Valkey

pytestmark = pytest.mark.acceptance

FOLDER = Path(__file__).parents[2] / "deploy" / "acl"
QUEUE, RECORD, TALLY = "{jobs}:askonce", "{askonce:jobs:b0a}:rec:a", "{askonce:jobs:tally}:total"
AUDIT, BOARD = "{askonce:jobs:b00}:audit", "{askonce:jobs:b00}:boards:service"
SCRIPT = "return redis.call('DEL', KEYS[1])"
#: Commands that a role runs, and harm others.
CAN = [
    ("producer", "LPUSH", QUEUE, "any message"),
    ("producer", "HSET", RECORD, "val", "a forged answer"),
    ("producer", "DEL", RECORD),
    ("producer", "DEL", TALLY),
    ("producer", "DEL", AUDIT),
    ("producer", "LRANGE", QUEUE, 0, -1),
    ("oncall", "DEL", QUEUE),
    ("oncall", "SCAN", "0"),
    ("producer", "EVAL", SCRIPT, 1, RECORD),
    ("producer", "XDEL", "{askonce:jobs:letters}", "1-1"),
    ("producer", "HSET", BOARD, "state", "a forged state"),
    ("worker", "BRPOP", QUEUE, 1),
    ("worker", "DEL", RECORD),
    ("worker", "DEL", TALLY),
    ("worker", "HDEL", "{jobs}:unacked", "tag"),
    ("worker", "PUBLISH", "{jobs}:/0.celery.pidbox", "any command to workers"),
    ("flower", "PUBLISH", "{jobs}:/0.celery.pidbox", "any command to workers"),
    ("metrics", "INFO"),
]
#: Commands that it is refused; most of them it could run where one list of commands held for all of its keys.
CANNOT = [
    ("producer", "DEL", QUEUE),
    ("producer", "SET", QUEUE, "a word"),
    ("producer", "ZADD", QUEUE, 1, "a member"),
    ("producer", "EVAL", SCRIPT, 1, QUEUE),
    ("producer", "BRPOP", QUEUE, 1),
    ("producer", "DEL", "{jobs}:_kombu.binding.askonce"),
    ("producer", "HDEL", "{jobs}:unacked", "tag"),
    ("producer", "PUBLISH", "{jobs}:/0.celery.pidbox", "any command to workers"),
    ("producer", "XADD", "{askonce:jobs:letters}", "*", "a", "b"),
    ("producer", "XDEL", AUDIT, "1-1"),
    ("producer", "SCAN", "0"),
    ("oncall", "BRPOP", QUEUE, 1),
    ("oncall", "PUBLISH", "{jobs}:/0.celery.pidbox", "any command to workers"),
    ("producer", "CONFIG", "GET", "masterauth"),
    ("worker", "DEL", QUEUE),
    ("worker", "SET", QUEUE, "a word"),
    ("worker", "EVAL", SCRIPT, 1, QUEUE),
    ("worker", "LPUSH", "{jobs}:another", "a message"),
    ("worker", "DEL", "{jobs}:unacked"),
    ("worker", "CONFIG", "GET", "masterauth"),
    ("worker", "XDEL", "{askonce:jobs:letters}", "1-1"),
    ("flower", "HGET", RECORD, "val"),
    ("flower", "LPUSH", QUEUE, "any message"),
    ("flower", "DEL", "{jobs}:unacked_index"),
    ("flower", "CONFIG", "GET", "masterauth"),
    ("metrics", "CONFIG", "GET", "masterauth"),
    ("metrics", "LPUSH", QUEUE, "any message"),
    ("metrics", "EVAL", SCRIPT, 1, "{askonce:jobs:b0a}:idx"),
    ("metrics", "EVAL", "return redis.call('HGETALL', KEYS[1])", 1, RECORD),
    ("metrics", "HGETALL", RECORD),
    ("metrics", "LRANGE", QUEUE, 0, -1),
    ("metrics", "HDEL", "{askonce:jobs:b0a}:tally", "a"),
    ("metrics", "XRANGE", "{askonce:jobs:letters}", "-", "+"),
]


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    users = "".join(path.read_text() for path in sorted(FOLDER.glob("*.acl")))
    file = tmp_path_factory.mktemp("acl") / "users.acl"
    file.write_text(f"{users}user operator on >op ~* &* +@all\n")
    with Valkey(tcp=True, options=f'aclfile "{file}"\nbusy-reply-threshold 1') as server:
        yield server


@pytest.fixture
def connect(server):
    """Connect as a role; what it left is gone after the test."""
    clients = []

    def login(role):
        password = "op" if role == "operator" else f"change-me-{role}"
        clients.append(Redis(port=server.port, username=role, password=password))
        return clients[-1]

    yield login
    login("operator").flushall()
    for client in clients:
        client.close()


def named(line):
    return "-".join(map(str, line[:3])) + ("-queue" if QUEUE in line[3:] else "")


@pytest.mark.parametrize("line", CAN, ids=named)
def test_role_can_harm_others_as_documented(connect, line):
    role, *command = line
    connect("operator").lpush(QUEUE, "a message")

    connect(role).execute_command(*command)


@pytest.mark.parametrize("line", CANNOT, ids=named)
def test_role_cannot_do_what_its_work_does_not_need(connect, line):
    role, *command = line

    with pytest.raises((NoPermissionError, ResponseError), match=r"NOPERM|permission|ACL"):
        connect(role).execute_command(*command)


def test_worker_shares_a_board_and_a_producer_reads_its_state(server, connect):
    stores = [RedisStore(connect(role), namespace="jobs") for role in ("worker", "producer")]
    worker, producer = (store.boards for store in stores)

    worker.exchange("service", "a", b"note", 2.5)
    seen = worker.exchange("service", "b", b"note", 2.5)
    assert worker.propose("service", seen.version, b"state")
    worker.exchange("service", "a", b"", 2.5)

    assert ["a", "b"] == sorted(seen.notes)
    assert {"service": b"state"} == producer.states()
    with pytest.raises(StoreUnavailable):
        producer.exchange("service", "c", b"note", 2.5)


@pytest.mark.parametrize(
    "read",
    [
        lambda store: store.tally.totals(),
        lambda store: store.tally.of_days(range(3)),
        lambda store: store.controls.pauses(),
        lambda store: store.levels(),
    ],
    ids=["totals", "days", "pauses", "levels"],
)
def test_store_whose_user_may_not_read_it_is_unavailable_and_says_why(connect, read):
    with pytest.raises(StoreUnavailable) as caught:
        read(RedisStore(connect("flower"), namespace="jobs"))

    assert "noperm" == caught.value.reason


@pytest.mark.parametrize("role", ["producer", "worker", "flower", "metrics"])
def test_script_of_a_role_stops_the_server_until_it_is_killed(connect, eventually, role):
    stuck, operator = connect(role), connect("operator")
    operator.ping()

    def run():
        with pytest.raises(RedisError):
            stuck.eval("while true do end", 0)

    ended = threading.Thread(target=run)
    ended.start()

    def is_busy():
        try:
            return not operator.ping()
        except ResponseError as busy:
            return "BUSY" in str(busy)

    eventually(is_busy)
    operator.script_kill()
    ended.join()

    assert operator.ping()
