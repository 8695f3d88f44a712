import socket
from contextlib import closing

import pytest
from redis.crc import key_slot

from askonce.adapters.redis import RedisStore
from askonce.errors import StoreUnavailable
from askonce.store import Admission
from askonce.store_down import breaker
from tests.jobs import new_claim
from tests.servers.clusters import ask

pytestmark = [pytest.mark.integration, pytest.mark.servers]


def slot_of(key):
    return key_slot(f"{{askonce:test:b{key[:2]}}}:rec:{key}".encode())


#: Their slots are the first node's.
KEYS = [key for n in range(256) if slot_of(key := f"{n:02x}" + "0" * 62) < 16384 // 3]


@pytest.fixture
def hanging_port():
    """A port that takes connections and never replies."""
    with socket.socket() as hanging:
        hanging.bind(("127.0.0.1", 0))
        hanging.listen()
        yield hanging.getsockname()[1]


@pytest.fixture
def heard():
    return []


@pytest.fixture
def own_store(own_cluster, heard, monkeypatch):
    """A store that has found its nodes; a breaker that opens lets no probe through."""
    monkeypatch.setattr(breaker, "_FIRST_REST", 3600.0)
    with closing(RedisStore.from_url(own_cluster.url, namespace="test", listen=heard.append)) as store:
        store.read(KEYS[:1])
        yield store


def fails(store):
    try:
        store.read(KEYS[:1])
    except StoreUnavailable as error:
        return error.reason
    return ""


def test_seed_that_hangs_fails_the_first_call_at_most(cluster, hanging_port):
    cluster.flush()
    url = f"redis+cluster://127.0.0.1:{hanging_port},127.0.0.1:{cluster.nodes[1].port}"
    with closing(RedisStore.from_url(url, namespace="test")) as store:
        fails(store)

        assert Admission.ADMITTED is store.admit(new_claim(KEYS[0])).outcome


def test_replica_is_found_behind_an_open_breaker(own_store, own_cluster, heard, eventually):
    own_store.admit(new_claim(KEYS[0]))
    eventually(lambda: ask(own_cluster.nodes[3], "DBSIZE") == 3)
    own_cluster.nodes[0].kill()
    eventually(lambda: fails(own_store) == "breaker_open")
    eventually(lambda: b"role:master" in ask(own_cluster.nodes[3], "INFO", "replication"), 30)

    eventually(lambda: fails(own_store) == "", 30)

    assert "job-1" == own_store.read(KEYS[:1])[0].job


def test_node_without_slots_is_forgotten_with_its_breaker(own_store, own_cluster, heard, eventually):
    lost = own_cluster.nodes[0]
    link = own_store._link._links["127.0.0.1", lost.port]
    lost.kill()
    eventually(lambda: fails(own_store) == "breaker_open")

    eventually(lambda: fails(own_store) == "", 30)
    for _ in range(breaker._ERRORS):
        link.breaker.failed()  # calls that were under way

    assert lost.port not in {port for _, port in own_store._link._links}
    states = [event.name for event in heard if event.name in ("store.down", "store.up")]
    assert ["store.down", "store.up"] == states
