import socket

import pytest
from redis import Redis
from redis.backoff import NoBackoff
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError
from redis.retry import Retry

from tests.deadlines import stretched
from tests.servers.proxy import Proxy

pytestmark = pytest.mark.integration


@pytest.fixture
def proxy(tcp_server):
    with Proxy(tcp_server.port) as proxy:
        yield proxy


@pytest.fixture
def connect(proxy):
    """Open clients of one link each, that try nothing twice."""
    clients = []

    def begin(timeout=20.0):
        client = Redis(
            port=proxy.port,
            socket_timeout=timeout,
            single_connection_client=True,
            retry=Retry(NoBackoff(), 0),
        )
        clients.append(client)
        return client

    yield begin
    for client in clients:
        client.close()


@pytest.fixture
def direct(tcp_server):
    with Redis.from_url(tcp_server.url, decode_responses=True) as client:
        client.delete("said", "other")
        yield client


def test_bytes_pass_in_both_directions_whatever_their_number(connect):
    client, large = connect(), b"x" * 3_000_000

    assert large == client.echo(large)


def test_cut_closes_every_link_and_takes_new_ones(proxy, connect):
    clients = [connect(), connect()]
    assert [True, True] == [client.ping() for client in clients]
    assert 2 == proxy.links

    proxy.cut()

    for client in clients:
        with pytest.raises(RedisConnectionError):
            client.ping()
    assert [True, True] == [client.ping() for client in clients]
    assert (2, 4) == (proxy.links, proxy.taken)


def test_block_takes_links_and_forwards_nothing_until_its_end(proxy, connect, direct, eventually):
    known = connect(1.0)
    known.ping()

    with proxy.blocked():
        with pytest.raises(RedisTimeoutError):
            known.rpush("said", "late")
        with pytest.raises(RedisTimeoutError):
            connect(0.2)  # which says hello
        assert 2 == proxy.taken
        assert not direct.exists("said")

    # A request that was under way still arrives, although its sender gave up.
    eventually(lambda: direct.lrange("said", 0, -1), 20)
    assert connect().ping()


def test_cut_loses_what_a_block_holds_back(proxy, connect, direct):
    client = connect(1.0)
    client.ping()

    with proxy.blocked():
        with pytest.raises(RedisTimeoutError):
            client.rpush("said", "never")
        proxy.cut()

    assert connect().ping()
    assert not direct.exists("said")


def test_refusing_turns_new_links_away_and_keeps_the_open_ones(proxy, connect):
    known = connect()
    known.ping()

    with proxy.refusing():
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection(("127.0.0.1", proxy.port), 5)
        assert known.ping()

    assert connect().ping()


def test_dropped_reply_is_to_a_request_that_was_executed(proxy, connect, direct):
    client = connect()
    client.ping()

    dropped = proxy.drop_reply()
    with pytest.raises(RedisConnectionError):
        client.rpush("said", "once")

    assert dropped.wait(stretched(20))
    assert ["once"] == direct.lrange("said", 0, -1)
    assert client.ping()


def test_dropped_reply_may_wait_for_a_request_of_a_kind(proxy, connect, direct):
    client, bystander = connect(), connect()
    bystander.ping()

    dropped = proxy.drop_reply(b"LPUSH")
    assert client.ping()
    assert 1 == client.rpush("other", "is heard")
    assert not dropped.is_set()
    with pytest.raises(RedisConnectionError):
        client.lpush("said", "once")

    assert dropped.wait(stretched(20))
    assert ["once"] == direct.lrange("said", 0, -1)
    assert bystander.ping()


def test_block_may_wait_for_a_request_of_a_kind_and_holds_it_back(proxy, connect, direct, eventually):
    client = connect(1.0)

    silent = proxy.block_at(b"RPUSH")
    assert client.ping()
    assert not silent.is_set()
    with pytest.raises(RedisTimeoutError):
        client.rpush("said", "late")
    assert silent.is_set()
    assert not direct.exists("said")
    proxy.unblock()

    eventually(lambda: direct.lrange("said", 0, -1), 20)


def test_link_to_a_server_that_is_away_ends_at_once():
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        with Proxy(nobody.getsockname()[1]) as proxy:
            link = socket.create_connection(("127.0.0.1", proxy.port), 20)
            with link:
                assert b"" == link.recv(1)


def test_link_ends_for_the_server_when_its_client_leaves(proxy, connect, eventually):
    client = connect()
    client.ping()
    client.close()

    eventually(lambda: proxy.links == 0, 20)
