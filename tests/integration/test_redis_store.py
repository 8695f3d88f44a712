from contextlib import closing

import pytest
from redis import Redis

from askonce.adapters.redis import RedisStore
from askonce.errors import LayoutNewer, StoreUnavailable
from askonce.store import Admission, Claim, Failing, Write

pytestmark = pytest.mark.integration

KEY, NEIGHBOUR = "0a" + "0" * 62, "0a" + "0" * 61 + "1"
RECORD, INDEX = f"{{askonce:test:b0a}}:rec:{KEY}", "{askonce:test:b0a}:idx"
DEAD = "{askonce:test:b0a}:dead"


def claim(key=KEY, job="job-1"):
    return Claim(
        key=key, job=job, fingerprint="fp-1", task="t", payload=b"{}", queue_deadline=60.0, max_attempts=3
    )


def own_end(client):
    return int(client.hget(RECORD, "xp")), client.pexpiretime(RECORD)


def test_record_index_and_channel_share_one_slot(shifted_store, client):
    shifted_store.admit(claim())

    assert {RECORD, INDEX, "test:clock"} == {name.decode() for name in client.scan_iter()}
    assert KEY.encode() in client.zrange(INDEX, 0, -1)


def test_namespaces_do_not_see_each_other(shifted_store, client, server_clock):
    with closing(RedisStore(client, namespace="other", clock=server_clock.lua)) as other:
        shifted_store.admit(claim())

        assert not other.read([KEY])[0].present
        assert Admission.ADMITTED is other.admit(claim(job="job-2")).outcome


@pytest.mark.parametrize("namespace", ["", "a b", "a}", "a:b", "x" * 41], ids=repr)
def test_namespace_that_would_break_a_key_is_refused(client, namespace):
    with pytest.raises(ValueError, match="namespace"):
        RedisStore(client, namespace=namespace)


def give_up(store, key):
    store.admit(claim(key)._replace(max_attempts=1))
    store.start(key, "job-1", "owner-1", "fp-1", 30.0)
    store.fail(key, "owner-1", Failing(kind="transient", reason="http_503"))


@pytest.mark.parametrize("leaves", ["forgotten", "asked anew"])
def test_list_of_quarantine_leaves_nothing_behind(shifted_store, client, leaves):
    for key in (KEY, NEIGHBOUR):
        give_up(shifted_store, key)
    assert 604_800_000 + 4_102_444_800_000 == client.pexpiretime(DEAD)

    for key in (KEY, NEIGHBOUR):
        assert key.encode() in client.zrange(DEAD, 0, -1)
        if leaves == "forgotten":
            shifted_store.invalidate(key)
        else:
            shifted_store.admit(claim(key, "job-2")._replace(force=True))
        assert key.encode() not in client.zrange(DEAD, 0, -1)

    assert not client.exists(DEAD)


def test_server_removes_a_record_when_the_record_itself_ends(shifted_store, client):
    ends = []
    shifted_store.admit(claim())
    ends.append(own_end(client))
    shifted_store.start(KEY, "job-1", "owner-1", "fp-1", 30.0)
    ends.append(own_end(client))
    shifted_store.complete(KEY, "owner-1", b"j1", b"", 60.0, 600.0)
    ends.append(own_end(client))
    shifted_store.invalidate(KEY)
    ends.append(own_end(client))

    week = 604_800_000
    start = 4_102_444_800_000
    assert [week + 60_000, week + 30_000, 600_000, 3_600_000] == [own - start for own, _ in ends]
    assert [own for own, _ in ends] == [server for _, server in ends]


def test_each_verb_is_one_command(shifted_store, client):
    verbs = [
        lambda: shifted_store.admit(claim()),
        lambda: shifted_store.start(KEY, "job-1", "owner-1", "fp-1", 30.0),
        lambda: shifted_store.renew([(KEY, "owner-1", 30.0)]),
        lambda: shifted_store.checkpoint(KEY, "owner-1", "resp-1"),
        lambda: shifted_store.fail(KEY, "owner-1", Failing(kind="transient", reason="r")),
        lambda: shifted_store.release(KEY, "owner-1"),
        lambda: shifted_store.complete(KEY, "owner-1", b"j1", b"", 1.0, 1.0),
        lambda: shifted_store.read([KEY]),
        lambda: shifted_store.invalidate(KEY),
        lambda: shifted_store.reap([10], 10),
    ]
    for verb in verbs:
        verb()
    client.config_resetstat()

    for verb in verbs:
        verb()

    assert len(verbs) == client.info("commandstats")["cmdstat_evalsha"]["calls"]


def test_reaper_trims_the_index_of_records_that_are_gone(shifted_store, client, server_clock):
    shifted_store.admit(claim())
    server_clock.advance(1)
    shifted_store.admit(claim(NEIGHBOUR))
    client.delete(RECORD)
    server_clock.advance(60)

    assert [] == shifted_store.reap([10], 1)
    assert [NEIGHBOUR.encode()] == client.zrange(INDEX, 0, -1)
    assert [NEIGHBOUR] == [lost.key for lost in shifted_store.reap([10], 1)]


def test_reaper_puts_a_wrong_index_entry_right(shifted_store, client):
    shifted_store.admit(claim())
    deadline = client.zscore(INDEX, KEY)
    client.zadd(INDEX, {KEY: 1})

    assert [] == shifted_store.reap([10], 10)
    assert deadline == client.zscore(INDEX, KEY)


def test_finished_job_leaves_the_index(shifted_store, client):
    shifted_store.admit(claim())
    shifted_store.start(KEY, "job-1", "owner-1", "fp-1", 30.0)
    shifted_store.complete(KEY, "owner-1", b"j1", b"", 60.0, 600.0)

    assert 0 == client.zcard(INDEX)
    assert {b"env", b"ref"}.isdisjoint(client.hkeys(RECORD))


def test_record_that_ran_out_leaves_nothing_to_its_successor(shifted_store, client, server_clock):
    shifted_store.admit(claim())
    shifted_store.start(KEY, "job-1", "owner-1", "fp-1", 30.0)
    shifted_store.complete(KEY, "owner-1", b"j1", b"", 60.0, 600.0)
    server_clock.advance(600)
    assert client.exists(RECORD)

    reply = shifted_store.admit(claim(job="job-2"))

    assert (Admission.ADMITTED, None) == (reply.outcome, reply.record.value)
    assert b"val" not in client.hkeys(RECORD)


@pytest.mark.parametrize(
    "verb",
    [
        lambda store: store.read([KEY]),
        lambda store: store.admit(claim()),
        lambda store: store.start(KEY, "job-1", "owner-1", "fp-1", 30.0),
        lambda store: store.complete(KEY, "owner-1", b"", b"", 1.0, 1.0),
        lambda store: store.invalidate(KEY),
    ],
    ids=["read", "admit", "start", "complete", "invalidate"],
)
def test_record_of_a_newer_version_is_left_alone(shifted_store, client, verb):
    shifted_store.admit(claim())
    client.hset(RECORD, "lv", 2)
    before = client.hgetall(RECORD)

    with pytest.raises(LayoutNewer):
        verb(shifted_store)

    assert before == client.hgetall(RECORD)


def test_record_of_a_newer_version_does_not_stop_the_reaper(shifted_store, client, server_clock):
    shifted_store.admit(claim())
    shifted_store.admit(claim(NEIGHBOUR))
    client.hset(RECORD, "lv", 2)
    server_clock.advance(60)

    assert [NEIGHBOUR] == [lost.key for lost in shifted_store.reap([10, 11], 10)]


def test_store_that_is_full_refuses_instead_of_forgetting(shifted_store, client):
    shifted_store.admit(claim())
    client.config_set("maxmemory", "1")
    try:
        with pytest.raises(StoreUnavailable):
            shifted_store.admit(claim(NEIGHBOUR))
    finally:
        client.config_set("maxmemory", "0")

    assert "job-1" == shifted_store.read([KEY])[0].job
    assert Write.FENCED is shifted_store.release(KEY, "owner-9")


def test_process_that_is_out_of_connections_does_not_think_the_server_down(store_url):
    with Redis.from_url(store_url, max_connections=1) as client:
        busy = client.connection_pool.get_connection()
        with closing(RedisStore(client, namespace="test")) as store:
            for _ in range(5):
                with pytest.raises(StoreUnavailable, match="MaxConnectionsError"):
                    store.read([KEY])
            client.connection_pool.release(busy)
            client.connection_pool.reset()

            assert not store.read([KEY])[0].present
