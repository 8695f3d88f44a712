from contextlib import closing

import pytest
from redis import Redis

from askonce.adapters.redis import RedisStore
from askonce.answer import Ttl
from askonce.controls import Pause
from askonce.errors import LayoutNewer, StoreUnavailable
from askonce.lost import Budget, Resent
from askonce.record import LAYOUT
from askonce.store import Admission, Failing, Parking
from tests.jobs import ANSWER, DELIVERED, TTL, new_claim, new_job, new_lease

pytestmark = pytest.mark.integration

KEY, NEIGHBOUR = "0a" + "0" * 62, "0a" + "0" * 61 + "1"
RECORD, INDEX = f"{{askonce:test:b0a}}:rec:{KEY}", "{askonce:test:b0a}:idx"
TALLY = "{askonce:test:b0a}:tally"
DEAD, DUE = "{askonce:test:b0a}:dead", "{askonce:test:b0a}:due"
LEASE = new_lease(KEY)


def own_end(client):
    return int(client.hget(RECORD, "xp")), client.pexpiretime(RECORD)


def test_record_index_and_channel_share_one_slot(shifted_store, client):
    shifted_store.admit(new_claim(KEY))

    assert {RECORD, INDEX, TALLY, "test:clock"} == {name.decode() for name in client.scan_iter()}
    assert KEY.encode() in client.zrange(INDEX, 0, -1)


def test_answer_is_looked_at_when_it_goes_stale_and_when_it_ends_and_leaves_its_index(
    shifted_store, client, server_clock
):
    def looked_at_in():
        shifted_store.reap([10])
        now = int(server_clock() * 1000)
        return [round((at - now) / 1000) for _, at in client.zrange(DUE, 0, -1, withscores=True)]

    shifted_store.admit(new_claim(KEY))
    shifted_store.start(new_job(KEY), LEASE)
    shifted_store.complete(LEASE, ANSWER, Ttl(10.0, 60.0))

    times = [looked_at_in()]
    for seconds in (11.0, 50.0):
        server_clock.advance(seconds)
        times.append(looked_at_in())

    assert [[10], [49], []] == times


def test_forgotten_answer_leaves_its_index_at_once(shifted_store, client):
    shifted_store.admit(new_claim(KEY))
    shifted_store.start(new_job(KEY), LEASE)
    shifted_store.complete(LEASE, ANSWER, TTL)
    shifted_store.invalidate(KEY)

    assert 0 == client.zcard(DUE)


def test_namespaces_do_not_see_each_other(shifted_store, client, server_clock):
    with closing(RedisStore(client, namespace="other", clock=server_clock.lua)) as other:
        shifted_store.admit(new_claim(KEY))

        assert not other.read([KEY])[0].present
        assert Admission.ADMITTED is other.admit(new_claim(KEY, "job-2")).outcome


@pytest.mark.parametrize("namespace", ["", "a b", "a}", "a:b", "x" * 41], ids=repr)
def test_namespace_that_would_break_a_key_is_refused(client, namespace):
    with pytest.raises(ValueError, match="namespace"):
        RedisStore(client, namespace=namespace)


def give_up(store, key):
    store.admit(new_claim(key, max_attempts=1))
    store.start(new_job(key), new_lease(key))
    store.fail(new_lease(key), Failing(kind="transient", reason="http_503"))


@pytest.mark.parametrize("leaves", ["forgotten", "admitted anew"])
def test_list_of_dead_jobs_leaves_nothing_behind(shifted_store, client, leaves):
    for key in (KEY, NEIGHBOUR):
        give_up(shifted_store, key)
    assert 604_800_000 + 4_102_444_800_000 == client.pexpiretime(DEAD)

    for key in (KEY, NEIGHBOUR):
        assert key.encode() in client.zrange(DEAD, 0, -1)
        if leaves == "forgotten":
            shifted_store.invalidate(key)
        else:
            shifted_store.admit(new_claim(key, "job-2", force=True))
        assert key.encode() not in client.zrange(DEAD, 0, -1)

    assert not client.exists(DEAD)


def test_server_removes_a_record_when_the_record_itself_ends(shifted_store, client):
    ends = []
    shifted_store.admit(new_claim(KEY))
    ends.append(own_end(client))
    shifted_store.start(new_job(KEY), LEASE)
    ends.append(own_end(client))
    shifted_store.complete(LEASE, ANSWER, TTL)
    ends.append(own_end(client))
    shifted_store.invalidate(KEY)
    ends.append(own_end(client))

    week = 604_800_000
    start = 4_102_444_800_000
    assert [week + 60_000, week + 30_000, 600_000, 3_600_000] == [own - start for own, _ in ends]
    assert [own for own, _ in ends] == [server for _, server in ends]


def test_each_verb_is_one_command(shifted_store, client):
    verbs = [
        lambda: shifted_store.admit(new_claim(KEY)),
        lambda: shifted_store.start(new_job(KEY), LEASE),
        lambda: shifted_store.renew([LEASE]),
        lambda: shifted_store.checkpoint(LEASE, "resp-1"),
        lambda: shifted_store.fail(LEASE, Failing(kind="transient", reason="r")),
        lambda: shifted_store.park(LEASE, "r", 0.0, 60.0),
        lambda: shifted_store.cancel(KEY, "other run"),
        lambda: shifted_store.resent([Resent(KEY, "job-1", 7)]),
        lambda: shifted_store.complete(LEASE, ANSWER, TTL),
        lambda: shifted_store.read([KEY]),
        lambda: shifted_store.invalidate(KEY),
        lambda: shifted_store.reap([10], DELIVERED),
    ]
    for verb in verbs:
        verb()
    client.config_resetstat()

    for verb in verbs:
        verb()

    assert len(verbs) == client.info("commandstats")["cmdstat_evalsha"]["calls"]


def test_reaper_trims_the_index_of_records_that_are_gone(shifted_store, client, server_clock):
    shifted_store.admit(new_claim(KEY))
    server_clock.advance(1)
    shifted_store.admit(new_claim(NEIGHBOUR))
    client.delete(RECORD)
    server_clock.advance(60)

    assert [NEIGHBOUR] == [lost.job.key for lost in shifted_store.reap([10], DELIVERED, Budget(jobs=1))]
    assert [NEIGHBOUR.encode()] == client.zrange(INDEX, 0, -1)


def test_reaper_puts_a_wrong_index_entry_right(shifted_store, client):
    shifted_store.admit(new_claim(KEY))
    deadline = client.zscore(INDEX, KEY)
    client.zadd(INDEX, {KEY: 1})

    assert [] == shifted_store.reap([10], DELIVERED)
    assert deadline == client.zscore(INDEX, KEY)


def test_finished_job_leaves_the_index(shifted_store, client):
    shifted_store.admit(new_claim(KEY))
    shifted_store.start(new_job(KEY), LEASE)
    shifted_store.complete(LEASE, ANSWER, TTL)

    assert 0 == client.zcard(INDEX)
    assert {b"env", b"ref"}.isdisjoint(client.hkeys(RECORD))


def test_record_that_ran_out_leaves_nothing_to_its_successor(shifted_store, client, server_clock):
    shifted_store.admit(new_claim(KEY))
    shifted_store.start(new_job(KEY), LEASE)
    shifted_store.complete(LEASE, ANSWER, TTL)
    server_clock.advance(600)
    assert client.exists(RECORD)

    reply = shifted_store.admit(new_claim(KEY, "job-2"))

    assert (Admission.ADMITTED, None) == (reply.outcome, reply.record.value)
    assert b"val" not in client.hkeys(RECORD)


@pytest.mark.parametrize(
    "verb",
    [
        lambda store: store.read([KEY])[0].checked(),
        lambda store: store.admit(new_claim(KEY)),
        lambda store: store.start(new_job(KEY), LEASE),
        lambda store: store.complete(LEASE, ANSWER, TTL),
        lambda store: store.invalidate(KEY),
    ],
    ids=["read", "admit", "start", "complete", "invalidate"],
)
def test_record_of_a_newer_version_is_left_alone(shifted_store, client, verb):
    shifted_store.admit(new_claim(KEY))
    client.hset(RECORD, "lv", LAYOUT + 1)
    before = client.hgetall(RECORD)

    with pytest.raises(LayoutNewer):
        verb(shifted_store)

    assert before == client.hgetall(RECORD)


def test_record_of_a_newer_version_does_not_stop_the_reaper(shifted_store, client, server_clock):
    shifted_store.admit(new_claim(KEY))
    shifted_store.admit(new_claim(NEIGHBOUR))
    client.hset(RECORD, "lv", LAYOUT + 1)
    server_clock.advance(60)

    assert [NEIGHBOUR] == [lost.job.key for lost in shifted_store.reap([10, 11], DELIVERED)]


def test_store_that_is_full_refuses_instead_of_forgetting(shifted_store, client):
    shifted_store.admit(new_claim(KEY))
    client.config_set("maxmemory", "1")
    try:
        with pytest.raises(StoreUnavailable):
            shifted_store.admit(new_claim(NEIGHBOUR))
    finally:
        client.config_set("maxmemory", "0")

    assert "job-1" == shifted_store.read([KEY])[0].job
    assert Parking.FENCED is shifted_store.park(new_lease(KEY, "owner-9"), "r", 0.0, 60.0)


def test_process_out_of_connections_does_not_trip_the_breaker(store_url):
    with Redis.from_url(store_url, max_connections=1) as client:
        busy = client.connection_pool.get_connection()
        with closing(RedisStore(client, namespace="test")) as store:
            for _ in range(5):
                with pytest.raises(StoreUnavailable, match="MaxConnectionsError"):
                    store.read([KEY])
            client.connection_pool.release(busy)
            client.connection_pool.reset()

            assert not store.read([KEY])[0].present


@pytest.mark.parametrize("verb", ["pause", "resume"])
def test_pause_holds_for_those_who_look_until_no_job_is_held_back(shifted_store, monkeypatch, verb):
    controls, pause = shifted_store.controls, Pause("queue", "slow")
    if verb == "resume":
        controls.pause(pause, "ana")
    run, done = controls._scripts.run_all, []

    def run_once(*arguments):
        if done:
            raise StoreUnavailable(verb="control", reason="TimeoutError")
        done.append(arguments)
        return run(*arguments)

    monkeypatch.setattr(controls._scripts, "run_all", run_once)
    with pytest.raises(StoreUnavailable):
        controls.pause(pause, "ana") if verb == "pause" else controls.resume(pause)

    assert {pause: "ana"} == controls.pauses()
