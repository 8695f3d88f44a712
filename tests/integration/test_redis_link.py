import os
import signal
import socket
import threading
import traceback
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from time import monotonic

import pytest
from redis import Redis

from askonce.adapters.redis import RedisStore
from askonce.adapters.redis.link import ServerLink
from askonce.errors import RecordDamaged, StoreUnavailable
from askonce.store import Admission
from askonce.store_down import breaker
from sandbox.valkey import Valkey
from tests.deadlines import stretched
from tests.jobs import new_claim

pytestmark = pytest.mark.integration

SECRET = "s3cret"
KEYS = [f"{n:02x}" + "0" * 62 for n in range(50)]


def claim(key, job_id="job-1"):
    return new_claim(key, job_id, task=key)


@pytest.fixture
def store(store_url):
    with closing(RedisStore.from_url(store_url, namespace="test")) as store:
        yield store


@pytest.fixture
def own_server():
    """A server that a test may stop."""
    with Valkey(tcp=True) as server:
        yield server


@pytest.fixture
def own_store(own_server):
    with closing(RedisStore.from_url(own_server.url, namespace="test")) as store:
        store.read(KEYS[:1])
        yield store


@pytest.fixture
def round_trips(monkeypatch):
    """Count what is sent and answered in one go."""
    counted, ask = [], ServerLink.ask

    def count(link, *commands, **options):
        counted.append(len(commands))
        return ask(link, *commands, **options)

    monkeypatch.setattr(ServerLink, "ask", count)
    return counted


def test_verb_for_many_keys_is_one_round_trip(store, round_trips):
    store.read(KEYS)
    round_trips.clear()

    assert 50 == len(store.read(KEYS))
    assert [50] == round_trips


def test_server_that_forgot_a_script_gets_it_again(store, client, round_trips):
    store.admit(claim(KEYS[0]))
    client.script_flush()
    round_trips.clear()

    assert Admission.ATTACHED is store.admit(claim(KEYS[0], "job-2")).outcome
    assert [1, 1] == round_trips


def test_server_that_forgot_a_script_gets_it_once_for_a_batch(store, client, round_trips):
    for key in KEYS:
        store.admit(claim(key))
    store.read(KEYS)
    client.script_flush()
    round_trips.clear()

    assert KEYS == [snapshot.task for snapshot in store.read(KEYS)]
    assert [50, 1, 49] == round_trips


def test_idle_connection_that_the_server_closed_is_replaced(store, client):
    store.read(KEYS[:1])
    before = store._link.ask(("CLIENT", "ID"))
    client.client_kill_filter(_type="normal", skipme=True)

    assert Admission.ADMITTED is store.admit(claim(KEYS[0])).outcome
    assert before != store._link.ask(("CLIENT", "ID"))


def test_idle_connections_of_many_threads_are_replaced(store, client):
    barrier = threading.Barrier(8)

    def read(_):
        barrier.wait(stretched(10))
        return [store.read(KEYS)[0].present for _ in range(20)]

    with ThreadPoolExecutor(8) as pool:
        for _ in range(5):
            assert 8 == len(list(pool.map(read, range(8))))
            client.client_kill_filter(_type="normal", skipme=True)


def test_restarted_server_is_found_again(own_server, own_store):
    own_store.admit(claim(KEYS[0]))
    own_server.stop()
    with pytest.raises(StoreUnavailable):
        own_store.read(KEYS[:1])

    own_server.start()

    assert Admission.ATTACHED is own_store.admit(claim(KEYS[0], "job-2")).outcome


def test_server_is_found_again_however_many_calls_it_missed(own_server, own_store, monkeypatch):
    monkeypatch.setattr(breaker, "_ERRORS", 10**9)
    own_server.stop()
    for _ in range(150):
        with pytest.raises(StoreUnavailable):
            own_store.read(KEYS[:1])

    own_server.start()

    assert [""] == [snapshot.task for snapshot in own_store.read(KEYS[:1])]


def test_error_reply_leaves_the_connection_usable(store, client):
    store.admit(claim(KEYS[0]))
    client.set(f"{{askonce:test:b01}}:rec:{KEYS[1]}", "not a record")
    before = store._link.ask(("CLIENT", "ID"))

    errors = [seen.error for seen in store.read([KEYS[1], KEYS[0], KEYS[1]])]
    assert [RecordDamaged, type(None), RecordDamaged] == [type(error) for error in errors]

    assert [KEYS[0], ""] == [snapshot.task for snapshot in store.read([KEYS[0], KEYS[2]])]
    assert before == store._link.ask(("CLIENT", "ID"))


def test_replies_come_one_by_one_in_order(store):
    link = store._scripts.link
    link.ask(("SET", "text", "a"))

    replies = link.ask_each(("GET", "text"), ("HSET", "text", "a", "b"), ("STRLEN", "text"))

    assert [b"a", True, 1] == [isinstance(each, Exception) or each for each in replies]
    assert [] == list(link.ask_each())


def test_replies_that_were_not_read_belong_to_no_later_command(store):
    link = store._scripts.link
    link.ask(("SET", "text", "a"))

    replies = link.ask_each(("GET", "text"), *[("STRLEN", "text")] * 10)
    assert b"a" == next(replies)
    replies.close()

    assert [b"a"] == link.ask(("GET", "text"))


def test_caller_may_use_the_store_between_two_replies(store):
    link = store._scripts.link

    assert [[b"x"]] * 40 == [link.ask(("ECHO", "x")) for _ in link.ask_each(*[("ECHO", "y")] * 40)]


def test_connection_that_is_lost_between_two_replies_is_replaced(own_server, own_store):
    link = own_store._scripts.link
    with Redis.from_url(own_server.url) as other:
        large = b"x" * (4 << 20)
        other.set("large", large)
        replies = link.ask_each(*[("GET", "large")] * 8)
        first = next(replies)
        other.client_kill_filter(_type="normal", skipme=True)

        assert [large] * 8 == [first, *replies]


def test_open_breaker_keeps_a_group_off_the_server(own_server, own_store):
    own_server.stop()
    for _ in range(breaker._ERRORS):
        with pytest.raises(StoreUnavailable):
            own_store.read(KEYS[:1])

    with pytest.raises(StoreUnavailable, match="breaker_open"):
        list(own_store._scripts.run_as_they_come("publish_many", [(("q", KEYS[0]), ())]))


def test_threads_never_get_each_others_replies(store):
    for key in KEYS:
        store.admit(claim(key))

    def read(n):
        return all(store.read([KEYS[n]])[0].task == KEYS[n] for _ in range(40))

    with ThreadPoolExecutor(16) as pool:
        assert all(pool.map(read, range(50)))


def test_server_that_never_answers_costs_less_than_a_second():
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"redis://127.0.0.1:{silent.getsockname()[1]}/0"
        with closing(RedisStore.from_url(url, namespace="test")) as store:
            began = monotonic()

            with pytest.raises(StoreUnavailable) as caught:
                store.read(KEYS)

            assert monotonic() - began < stretched(1.0)
    assert ("read", "TimeoutError") == (caught.value.verb, caught.value.reason)


def test_server_that_stands_still_costs_less_than_a_second(own_server, own_store):
    os.kill(own_server.pid, signal.SIGSTOP)
    began = monotonic()
    with pytest.raises(StoreUnavailable):
        own_store.read(KEYS)
    waited = monotonic() - began
    os.kill(own_server.pid, signal.SIGCONT)

    assert waited < stretched(1.0)
    assert Admission.ADMITTED is own_store.admit(claim(KEYS[0])).outcome


def test_late_reply_is_not_taken_for_the_next_one(own_server, own_store):
    own_store.admit(claim(KEYS[0]))
    os.kill(own_server.pid, signal.SIGSTOP)
    with pytest.raises(StoreUnavailable):
        own_store.read([KEYS[1]])
    os.kill(own_server.pid, signal.SIGCONT)

    assert KEYS[0] == own_store.read([KEYS[0]])[0].task


def test_forked_child_does_not_speak_on_its_parents_sockets(store):
    before = store._link.ask(("CLIENT", "ID"))
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.write(writer, b"%d" % store._link.ask(("CLIENT", "ID"))[0])
        finally:
            os._exit(0)
    os.close(writer)
    os.waitpid(child, 0)

    with os.fdopen(reader, "rb") as pipe:
        seen_by_child = [int(pipe.read())]
    assert before != seen_by_child
    assert before == store._link.ask(("CLIENT", "ID"))


@pytest.mark.parametrize("password", [SECRET, f"{SECRET}-wrong"], ids=["right", "wrong"])
def test_password_is_in_no_repr_and_no_error(password):
    with Valkey(tcp=True, options=f"requirepass {SECRET}") as server:
        url = f"redis://:{password}@127.0.0.1:{server.port}/0"
        with closing(RedisStore.from_url(url, namespace="test")) as store:
            if password == SECRET:
                assert not store.read(KEYS[:1])[0].present
                server.stop()
            with pytest.raises(StoreUnavailable) as caught:
                store.read(KEYS[:1])

            told = f"{store!r} {store} {caught.value} {caught.value!r} {caught.value.data}"
            assert SECRET not in told + "".join(traceback.format_exception(caught.value))


def test_subscription_to_a_server_that_is_gone_is_an_error():
    with (
        closing(RedisStore.from_url("redis://127.0.0.1:1/0", namespace="test")) as store,
        pytest.raises(StoreUnavailable, match="subscribe"),
        store.subscribe(KEYS[:1]),
    ):
        pass


def test_store_keeps_no_connection_after_it_is_closed(store_url, client, eventually):
    before = len(client.client_list())
    store = RedisStore(Redis.from_url(store_url), namespace="test")
    store.read(KEYS[:1])
    assert before + 1 == len(client.client_list())

    store.close()

    assert eventually(lambda: before == len(client.client_list()))
