import os
import signal
from contextlib import closing
from time import monotonic

import pytest
from redis import Redis
from redis.crc import key_slot

from askonce.adapters.redis import RedisStore
from askonce.adapters.redis.cluster import ClusterLink
from askonce.adapters.redis.link import ServerLink
from askonce.errors import StoreUnavailable
from askonce.store import Admission
from tests.deadlines import stretched
from tests.jobs import new_claim, new_job, new_lease
from tests.servers.clusters import ask

pytestmark = [pytest.mark.integration, pytest.mark.servers]

KEYS = [f"{n:02x}" + "0" * 62 for n in range(256)]


def claim(key, job_id="job-1"):
    return new_claim(key, job_id, task=key)


def slot_of(key):
    return key_slot(f"{{askonce:test:b{key[:2]}}}:rec:{key}".encode())


def owner_of(key):
    """Return the number of the node that has *key*; slots are in three equal parts."""
    return next(n for n in range(3) if slot_of(key) < 16384 * (n + 1) // 3)


def on_node(number):
    return next(key for key in KEYS if owner_of(key) == number)


def names(cluster):
    return [ask(node, "CLUSTER", "MYID").decode() for node in cluster.nodes[:3]]


@pytest.fixture
def empty(cluster):
    cluster.flush()
    return cluster


@pytest.fixture
def store(empty):
    with closing(RedisStore.from_url(empty.url, namespace="test")) as store:
        yield store


@pytest.fixture
def own_store(own_cluster):
    with closing(RedisStore.from_url(own_cluster.url, namespace="test")) as store:
        store.read(KEYS)
        yield store


@pytest.fixture
def asked(monkeypatch):
    """Count what each node is asked in one go."""
    counted, exchange = [], ServerLink.exchange_once

    def count(link, *commands):
        counted.append((link.client.connection_pool.connection_kwargs["port"], len(commands)))
        return exchange(link, *commands)

    monkeypatch.setattr(ServerLink, "exchange_once", count)
    return counted


def test_verb_for_many_keys_is_one_round_trip_to_each_node(store, empty, asked):
    store.read(KEYS)
    asked.clear()

    assert 256 == len(store.read(KEYS))
    assert sorted(node.port for node in empty.nodes) == sorted(port for port, _ in asked)
    assert 256 == sum(count for _, count in asked)


def test_replies_are_in_the_order_of_the_keys(store):
    for key in KEYS[:20]:
        store.admit(claim(key))

    assert KEYS[:20] == [seen.task for seen in store.read(KEYS[:20])]


def test_every_node_that_forgot_a_script_gets_it_again(store, empty):
    store.read(KEYS)
    for node in empty.nodes:
        ask(node, "SCRIPT", "FLUSH")

    assert 256 == len(store.read(KEYS))


def test_flight_that_ends_on_another_node_is_heard_of(store, empty, eventually):
    keys = [on_node(number) for number in range(3)]
    for key in keys:
        store.admit(claim(key))
    with store.subscribe(keys) as subscription:
        subscription.wait(0.05)
        for key in keys:
            store.invalidate(key)
        heard = set()

        assert eventually(lambda: heard.update(subscription.wait(0.2)) or heard == set(keys))


def test_slot_that_moved_is_followed_and_remembered(store, empty, asked):
    key = on_node(0)
    store.read([key, on_node(1)])  # both nodes have the script then
    first, second, _ = names(empty)
    try:
        for node in empty.nodes:
            ask(node, "CLUSTER", "SETSLOT", slot_of(key), "NODE", second)

        assert Admission.ADMITTED is store.admit(claim(key)).outcome
        asked.clear()
        assert "job-1" == store.read([key])[0].job
        assert [(empty.nodes[1].port, 1)] == asked
    finally:
        empty.flush()
        for node in empty.nodes:
            ask(node, "CLUSTER", "SETSLOT", slot_of(key), "NODE", first)


@pytest.fixture
def moving(store, empty):
    """A key whose record was carried to the second node, while its slot still belongs to the first."""
    key = on_node(0)
    slot, (first, second, _) = slot_of(key), names(empty)
    store.admit(claim(key))
    ask(empty.nodes[1], "CLUSTER", "SETSLOT", slot, "IMPORTING", first)
    ask(empty.nodes[0], "CLUSTER", "SETSLOT", slot, "MIGRATING", second)
    ask(
        empty.nodes[0],
        "MIGRATE",
        "127.0.0.1",
        empty.nodes[1].port,
        "",
        0,
        5000,
        "KEYS",
        *store._scripts.record_keys(key),
    )
    yield key
    empty.flush()
    for node in empty.nodes[:2]:
        ask(node, "CLUSTER", "SETSLOT", slot, "STABLE")


def test_moving_record_is_read_from_its_new_node(store, moving):
    assert "job-1" == store.read([moving])[0].job
    assert Admission.ATTACHED is store.admit(claim(moving, "job-2")).outcome


def test_new_record_of_a_bucket_that_is_moving_is_refused(store, moving):
    with pytest.raises(StoreUnavailable):
        store.admit(claim(moving[:-1] + "1"))


def test_leases_are_renewed_although_another_node_is_lost(own_store, own_cluster):
    lost, kept = on_node(1), on_node(2)
    for key in (lost, kept):
        own_store.admit(claim(key))
        own_store.start(new_job(key), new_lease(key, seconds=5.0))
    before = own_store.read([kept])[0].deadline_in
    own_cluster.nodes[1].kill()

    with pytest.raises(StoreUnavailable):
        own_store.renew([new_lease(lost, seconds=500.0), new_lease(kept, seconds=500.0)])

    assert before < 5.1 < own_store.read([kept])[0].deadline_in


def test_open_breaker_of_a_node_keeps_no_caller_off_the_others(own_store, own_cluster):
    lost, kept = on_node(1), on_node(2)
    for key in (lost, kept):
        own_store.admit(claim(key))
    own_cluster.nodes[1].kill()

    reasons = [reason_for_no_reply(own_store, lost) for _ in range(5)]

    assert "breaker_open" == reasons[-1]
    assert own_store.read([kept])[0].present
    assert Admission.ATTACHED is own_store.admit(claim(kept, "job-2")).outcome


def reason_for_no_reply(store, key):
    with pytest.raises(StoreUnavailable) as caught:
        store.read([key])
    return caught.value.reason


def test_replica_that_takes_over_is_found_and_has_the_records(own_store, own_cluster, eventually):
    key = on_node(0)
    own_store.admit(claim(key))
    eventually(lambda: ask(own_cluster.nodes[3], "DBSIZE") == 3)
    own_cluster.nodes[0].kill()

    def found():
        try:
            return own_store.read([key])[0].job
        except StoreUnavailable:
            return None

    assert "job-1" == eventually(found, 30)
    assert Admission.ATTACHED is own_store.admit(claim(key, "job-2")).outcome


def test_hanging_node_costs_a_caller_less_than_a_second(own_store, own_cluster):
    pid = own_cluster.nodes[1].pid
    os.kill(pid, signal.SIGSTOP)
    try:
        began = monotonic()
        with pytest.raises(StoreUnavailable):
            own_store.read([on_node(1)])

        # 0.6 s by the design, and room for a busy machine.
        assert monotonic() - began < stretched(1.0)
    finally:
        os.kill(pid, signal.SIGCONT)


def test_cluster_is_found_through_any_living_node_of_its_url(own_cluster):
    own_cluster.nodes[1].kill()
    ports = own_cluster.nodes[1].port, own_cluster.nodes[2].port
    url = f"redis+cluster://127.0.0.1:{ports[0]},127.0.0.1:{ports[1]}"

    with closing(RedisStore.from_url(url, namespace="test")) as store:
        assert Admission.ADMITTED is store.admit(claim(on_node(2))).outcome


def test_check_looks_at_every_node(store):
    found = [each.severity for each in store.check() if each.name == "reachable"]

    assert ["ok"] * 3 == found


def test_server_that_is_no_cluster_is_unavailable(store_url):
    link = ClusterLink([("127.0.0.1", 1)], lambda node: Redis.from_url(store_url))

    with closing(RedisStore(link, namespace="test")) as store, pytest.raises(StoreUnavailable):
        store.read(KEYS[:1])
