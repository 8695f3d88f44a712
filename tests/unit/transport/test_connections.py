"""Where calls go, on which connections, and that nothing of one reaches another."""

import gzip
import socket
import threading

import pytest

from askonce.errors import CallFailed, Configuration
from tests.deadlines import eventually, stretched
from tests.servers.by_hand import TlsInTls, answering, repeating, reply
from tests.unit.transport.calls import (
    BODIES,
    ENCODING,
    HEAD,
    SHORT,
    SIZES,
    TRICKLES,
    WHOLE,
    end_of,
    outcome_of,
    reason_of,
)

pytestmark = pytest.mark.long


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_redirect_is_not_followed_but_named(serve, calling, service, status):
    other = serve(answering(WHOLE[service]))
    server = serve(answering(reply(b"", f"Location: {other.url}/v1", status=status)))

    failure = end_of(calling(service, server.url))

    assert (Configuration, "redirected") == (type(failure), reason_of(failure))
    assert ([], 1) == (other.connections, len(server.requests))


def test_redirect_to_no_address_is_the_same_failure(serve, calling, service):
    server = serve(answering(reply(b"", "Location: //[@", status=307)))

    assert "redirected" == reason_of(end_of(calling(service, server.url)))


def test_cookie_of_a_reply_is_never_sent(serve, calling, service):
    body = BODIES[service]
    server = serve(answering(reply(body, "Set-Cookie: tenant=ana; Path=/"), reply(body)))
    call = calling(service, server.url)

    end_of(call)
    end_of(call)

    assert 2 == len(server.requests)
    assert [] == [
        line for each in server.requests for line in each.lower().split(b"\r\n") if b"cookie" in line
    ]


def test_connection_is_kept_where_the_reply_was_whole(serve, calling, service):
    body = BODIES[service]
    server = serve(answering(reply(body), reply(gzip.compress(body), f"{ENCODING}gzip"), reply(body)))
    call = calling(service, server.url)

    assert [dict] * 3 == [type(end_of(call)) for _ in range(3)]
    assert 1 == len(server.connections)


def test_what_comes_after_a_reply_is_not_taken_for_the_next_one(serve, calling, service):
    another = reply(BODIES[service].replace(b"fine", b"stolen").replace(b"Ana", b"Bia"))
    server = serve(answering(WHOLE[service] + another, WHOLE[service]))
    call = calling(service, server.url)

    first, second = end_of(call), end_of(call)

    assert first == second
    assert 2 == len(server.connections)


def test_call_after_a_refused_reply_has_a_connection_of_its_own(serve, calling, service):
    body = BODIES[service]
    large = reply(b" " * (SIZES[service] + 1))
    server = serve(answering(large, reply(body)))
    call = calling(service, server.url)

    assert "reply_too_large" == reason_of(end_of(call))
    assert isinstance(end_of(call), dict)
    assert 2 == len(server.connections)


def test_no_call_waits_for_the_connection_of_another(serve, calling, service):
    calls, everyone = 150, threading.Event()

    def together(connection):
        while connection.request():
            if calls <= len(connection.server.requests):
                everyone.set()
            everyone.wait()
            connection.send(WHOLE[service])

    server = serve(together)
    call, outcomes = calling(service, server.url), []
    threads = [
        threading.Thread(target=lambda: outcomes.append(outcome_of(call)), daemon=True) for _ in range(calls)
    ]
    try:
        for thread in threads:
            thread.start()
        eventually(lambda: len(outcomes) == calls, 30)
    finally:
        everyone.set()
        for thread in threads:
            thread.join(stretched(30))

    assert {dict} == {type(outcome) for outcome in outcomes}


@pytest.fixture
def two_addresses(monkeypatch):
    """Give a name two addresses; nobody listens at the first one."""
    resolve = socket.getaddrinfo

    def look_up(host, *arguments, **options):
        hosts = ["127.0.0.2", "127.0.0.1"] if host == "service.example" else [host]
        return [found for each in hosts for found in resolve(each, *arguments, **options)]

    monkeypatch.setattr(socket, "getaddrinfo", look_up)


def test_every_address_of_a_name_is_tried(serve, calling, service, two_addresses):
    server = serve(answering(WHOLE[service]))

    assert isinstance(end_of(calling(service, f"http://service.example:{server.port}")), dict)


def test_proxy_of_the_environment_is_heeded_and_bounded(serve, calling, service, monkeypatch):
    body = BODIES[service]
    proxy = serve(answering(reply(body)))
    slow = serve(TRICKLES["blank lines"])
    large = serve(answering(reply(b" " * (SIZES[service] + 1))))

    monkeypatch.setenv("http_proxy", proxy.url)
    assert isinstance(end_of(calling(service, "http://service.example")), dict)
    monkeypatch.setenv("http_proxy", slow.url)
    assert "timeout" == reason_of(end_of(calling(service, "http://service.example", SHORT)))
    monkeypatch.setenv("http_proxy", large.url)
    assert "reply_too_large" == reason_of(end_of(calling(service, "http://service.example")))

    assert b" http://service.example/" in proxy.requests[0]


def test_tunnel_of_a_proxy_heeds_the_time_of_the_call(serve, calling, service, monkeypatch):
    proxy = serve(repeating(HEAD + b"X-Slow: ", b"x"))
    monkeypatch.setenv("https_proxy", proxy.url)

    failure = end_of(calling(service, "https://service.example", SHORT))

    assert "timeout" == reason_of(failure)
    assert proxy.requests[0].startswith(b"CONNECT service.example:443 ")


def test_address_of_no_proxy_is_called_without_it(serve, calling, service, monkeypatch):
    server = serve(answering(WHOLE[service]))
    proxy = serve(answering(reply(b"", status=401)))
    monkeypatch.setenv("http_proxy", proxy.url)
    monkeypatch.setenv("no_proxy", "127.0.0.0/8")

    assert isinstance(end_of(calling(service, server.url)), dict)
    assert [] == proxy.connections


@pytest.fixture
def tunnel_to(serve, server_tls, papers, monkeypatch):
    """Start a proxy, with TLS or without; behind its tunnel *script* is the service, with TLS of its own."""

    def begin(scheme, script):
        def tunnel(connection):
            connection.request()
            connection.send(b"HTTP/1.1 200 Connected\r\n\r\n")
            outer = connection.socket
            if scheme == "https":
                connection.socket = TlsInTls(outer, server_tls)
            else:
                connection.socket = server_tls.wrap_socket(outer, server_side=True)
            script(connection)

        proxy = serve(tunnel, tls=server_tls if scheme == "https" else None)
        monkeypatch.setenv("https_proxy", f"{scheme}://localhost:{proxy.port}")
        monkeypatch.setenv("SSL_CERT_FILE", str(papers / "crt"))
        return proxy

    return begin


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_service_is_called_through_the_tunnel_of_a_proxy(tunnel_to, calling, service, scheme):
    proxy = tunnel_to(scheme, answering(WHOLE[service]))
    call = calling(service, "https://localhost")

    assert [dict, dict] == [type(end_of(call)) for _ in range(2)]
    assert 1 == len(proxy.connections)


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_call_through_a_tunnel_ends_with_its_time(tunnel_to, calling, service, scheme):
    proxy = tunnel_to(scheme, TRICKLES["blank lines"])

    assert "timeout" == reason_of(end_of(calling(service, "https://localhost", SHORT), 10))
    assert proxy.left.wait(stretched(15)), "the connection is open"


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_service_of_another_name_is_refused_in_a_tunnel(tunnel_to, calling, service, scheme):
    proxy = tunnel_to(scheme, answering(WHOLE[service]))

    assert isinstance(end_of(calling(service, "https://127.0.0.1")), CallFailed)
    assert 1 == len(proxy.requests), "more than the CONNECT"


def test_record_after_a_reply_is_not_taken_for_the_next_one(tunnel_to, calling, service):
    another = reply(BODIES[service].replace(b"fine", b"stolen").replace(b"Ana", b"Bia"))

    def script(connection):
        while connection.request():
            inner = connection.socket
            inner.outer.sendall(inner.sealed(WHOLE[service]) + inner.sealed(another))

    tunnel_to("https", script)
    call = calling(service, "https://localhost")

    assert end_of(call) == end_of(call)


def test_record_of_tls_that_trickles_ends_with_the_call(tunnel_to, calling, service):
    def trickle(connection):
        connection.request()
        inner = connection.socket
        for byte in inner.sealed(WHOLE[service].ljust(16_000)):
            connection.socket = inner.outer
            if not connection.goes_on(0.01):
                return
            connection.send(bytes([byte]))

    tunnel_to("https", trickle)

    assert "timeout" == reason_of(end_of(calling(service, "https://localhost", SHORT), 10))


def test_authority_of_the_environment_is_trusted_and_no_other(
    serve_tls, papers, calling, service, monkeypatch
):
    url = serve_tls(answering(WHOLE[service]))

    assert isinstance(end_of(calling(service, url)), CallFailed)
    monkeypatch.setenv("SSL_CERT_FILE", str(papers / "crt"))
    assert isinstance(end_of(calling(service, url)), dict)


def test_call_over_tls_ends_with_its_time(serve_tls, papers, calling, service, monkeypatch):
    monkeypatch.setenv("SSL_CERT_FILE", str(papers / "crt"))
    url = serve_tls(TRICKLES["blank lines"])

    assert "timeout" == reason_of(end_of(calling(service, url, SHORT), 10))
