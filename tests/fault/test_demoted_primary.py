import threading
from contextlib import closing, suppress

import pytest
from redis import Redis
from redis.exceptions import RedisError

from askonce.adapters.redis import RedisStore
from askonce.adapters.redis.link import ServerLink
from askonce.errors import StoreUnavailable
from askonce.store import Admission, Renewal, Write
from askonce.store_down import breaker
from sandbox.valkey import Valkey
from tests.deadlines import stretched
from tests.jobs import ANSWER, TTL, new_claim, new_job, new_lease
from tests.preloaded import patient
from tests.servers.clusters import Cluster, ask, await_that
from tests.servers.proxy import Proxy

pytestmark = [pytest.mark.fault, pytest.mark.long]

KEY, OTHER = "0a" + "0" * 62, "0a" + "1" * 62
LEASE = new_lease(KEY)


class Pair:
    """Two servers behind one name: the first is its primary, and the second a replica of the first."""

    def __init__(self, first, second, proxy):
        self.first, self.second, self._proxy = first, second, proxy
        self.url = f"redis://127.0.0.1:{proxy.port}/0"
        ask(second, "REPLICAOF", "127.0.0.1", first.port)
        await_that(lambda: b"master_link_status:up" in ask(second, "INFO", "replication"))

    def demote(self):
        """Make the first a replica of the second. Links to the first stay open."""
        await_that(lambda: ask(self.first, "DBSIZE") == ask(self.second, "DBSIZE"))
        ask(self.second, "REPLICAOF", "NO", "ONE")
        ask(self.first, "REPLICAOF", "127.0.0.1", self.second.port)

    def rename(self):
        """Let the name mean the second from now on."""
        self._proxy.target = self.second.port


@pytest.fixture
def pair():
    at_once = {"tcp": True, "options": "repl-diskless-sync-delay 0"}
    with Valkey(**at_once) as first, Valkey(**at_once) as second, Proxy(first.port) as proxy:
        yield Pair(first, second, proxy)


@pytest.fixture
def heard():
    return []


@pytest.fixture
def store(pair, heard):
    """A store with links to the first, and one running job."""
    with closing(RedisStore.from_url(patient(pair.url), namespace="t", listen=heard.append)) as store:
        store.admit(new_claim(KEY))
        store.start(new_job(KEY), LEASE)
        yield store


VERBS = {
    "admit": (lambda store: store.admit(new_claim(OTHER)).outcome, Admission.ADMITTED),
    "renew": (lambda store: store.renew([LEASE]), [Renewal.OK]),
    "complete": (lambda store: store.complete(LEASE, ANSWER, TTL), Write.OK),
}


@pytest.mark.parametrize("verb", VERBS)
def test_demoted_primary_is_left_at_the_first_write(pair, store, verb):
    pair.demote()
    pair.rename()

    write, reply = VERBS[verb]

    assert reply == write(store)
    assert b"role:slave" in ask(pair.first, "INFO", "replication")


def test_idle_links_to_a_demoted_primary_are_closed(pair, store):
    links = [store._link._take() for _ in range(3)]
    for link in links:
        link.connect()
    store._link._idle.extend(links)
    pair.demote()
    pair.rename()

    store.renew([LEASE])

    assert not any(link.is_connected for link in links if link is not store._link._idle[-1])


def test_link_in_use_is_closed_when_another_thread_left_the_server(store_url, client, eventually):
    with closing(Redis.from_url(store_url, socket_timeout=stretched(10))) as patient:
        link = ServerLink(patient)
        waits = threading.Thread(target=link.exchange_once, args=(("WAIT", 5, 500),))
        waits.start()
        eventually(lambda: "wait" in [each["cmd"] for each in client.client_list()])

        link._leave(link.moves)
        waits.join()

    assert [False] == [connection.is_connected for connection in link._idle]


def test_primary_without_a_successor_is_down_for_callers(pair, store, heard):
    pair.demote()

    reasons = []
    for _ in range(breaker._ERRORS + 1):
        with pytest.raises(StoreUnavailable) as caught:
            store.admit(new_claim(OTHER))
        reasons.append(caught.value.reason)

    assert ["readonly"] * breaker._ERRORS + ["breaker_open"] == reasons
    assert ["store.connected", "store.down"] == [event.name for event in heard]


def test_replica_without_its_primary_is_left_by_readers_too(pair, store):
    pair.demote()
    ask(pair.first, "CONFIG", "SET", "replica-serve-stale-data", "no")
    ask(pair.first, "REPLICAOF", "127.0.0.1", 1)
    with pytest.raises(StoreUnavailable, match="reason=masterdown"):
        store.read([KEY])

    pair.rename()

    assert "owner-1" == store.read([KEY])[0].owner


def test_waiter_hears_of_an_end_on_the_new_primary(pair, store, eventually):
    with store.subscribe([KEY]) as subscription:
        pair.demote()
        pair.rename()
        store.renew([LEASE])  # any write of this process leaves the first
        ask(pair.first, "REPLICAOF", "NO", "ONE")  # it passes nothing on any more

        assert {KEY} == subscription.wait(stretched(10))
        channel = store._scripts.record_keys(KEY)[0]
        # A wake-up may be missed while the subscription moves.
        eventually(lambda: ask(pair.second, "PUBLISH", channel, "job") and {KEY} == subscription.wait(1))


def test_server_that_loads_its_data_is_down_for_callers(heard, eventually):
    # 200 keys, each 10 ms; the server looks at its links after each of them.
    slow = "key-load-delay 10000\nloading-process-events-interval-bytes 1024\nrdbcompression no"
    with (
        Valkey(tcp=True, options=f"{slow}\nenable-debug-command yes") as server,
        Redis.from_url(server.url) as client,
    ):
        client.mset({f"k{n}": "x" * 1000 for n in range(200)})
        with closing(RedisStore.from_url(server.url, namespace="t", listen=heard.append)) as store:
            store.read([KEY])
            loading = threading.Thread(target=reload, args=(server,))
            loading.start()
            reasons = []

            eventually(lambda: reasons.append(reason_of(store)) or "loading" in reasons)
            eventually(lambda: reasons.append(reason_of(store)) or "breaker_open" in reasons)
            loading.join()

            eventually(lambda: reason_of(store) == "")
    assert ["store.connected", "store.down", "store.up"] == [event.name for event in heard]


def reload(server):
    with suppress(RedisError):
        ask(server, "DEBUG", "RELOAD")


def reason_of(store):
    try:
        store.admit(new_claim(KEY))
    except StoreUnavailable as error:
        return error.reason
    return ""


@pytest.mark.servers
def test_node_that_is_cut_off_from_its_cluster_is_left(eventually):
    with (
        Cluster(replicas=1, options="enable-debug-command yes") as cluster,
        closing(RedisStore.from_url(cluster.url, namespace="test")) as store,
    ):
        ours = cluster.nodes[0].port
        key = next(key for n in range(256) if port_of(store, key := f"{n:02x}" + "0" * 62) == ours)
        store.admit(new_claim(key))
        replica = cluster.nodes[3]
        await_that(lambda: ask(replica, "DBSIZE") == 3)
        # It hears no other node from now on, and replies to its clients as before.
        ask(cluster.nodes[0], "DEBUG", "DROP-CLUSTER-PACKET-FILTER", -2)
        eventually(lambda: b"cluster_state:fail" in ask(cluster.nodes[0], "CLUSTER", "INFO"), 30)
        eventually(lambda: b"role:master" in ask(replica, "INFO", "replication"), 30)

        def is_attached():
            with suppress(StoreUnavailable):
                return store.admit(new_claim(key, "job-2")).outcome is Admission.ATTACHED
            return False

        assert eventually(is_attached)


def port_of(store, key):
    store.read([key])
    return int(store._link.place_of(store._scripts.record_keys(key)[0]).rpartition(":")[2])
