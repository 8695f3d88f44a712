"""What comes back over HTTP is bounded in time, in bytes and in nesting."""

import gzip
import json
import threading
import tracemalloc

import pytest

from tests.deadlines import stretched
from tests.servers.by_hand import answering, repeating, reply
from tests.unit.transport.calls import (
    BODIES,
    CHUNKED,
    ENCODING,
    HEAD,
    LONG,
    MODEL_REPLY,
    SHORT,
    SIZES,
    TRICKLES,
    WHOLE,
    end_of,
    reason_of,
)

pytestmark = pytest.mark.long


@pytest.mark.parametrize("trickle", TRICKLES)
def test_call_ends_with_its_time_when_a_reply_trickles(serve, calling, service, trickle):
    server = serve(TRICKLES[trickle])

    failure = end_of(calling(service, server.url, SHORT), 10)

    assert ("timeout", True) == (reason_of(failure), failure.maybe_billed)
    assert server.left.wait(stretched(15)), "the connection is open"


def test_call_ends_with_its_time_when_a_request_trickles(serve, calling):
    # The server takes ten seconds for it at least, in parts that never let the client wait for long.
    text, taken, is_over = "x" * 60_000_000, 0, threading.Event()

    def take_a_little(connection):
        nonlocal taken
        while received := connection.socket.recv(65_536):
            taken += len(received)
            is_over.wait(0.01)
        connection.server.left.set()

    server = serve(take_a_little)

    failure = end_of(calling("model", server.url, SHORT, text))
    is_over.set()

    assert ("timeout", True) == (reason_of(failure), failure.maybe_billed)
    assert server.left.wait(stretched(15)), "the connection is open"
    assert taken < len(text)


def test_service_that_refuses_the_connection_was_not_paid(serve, calling):
    server = serve(answering(b""))
    server.close()

    failure = end_of(calling("model", server.url))

    assert failure.data.get("maybe_billed", False) is False


ENDLESS = {
    "blanks": repeating(CHUNKED, b"10000\r\n" + b" " * 65_536 + b"\r\n", pace=0),
    "no length": repeating(HEAD + b"\r\n", b" " * 65_536, pace=0),
    # Blocks of gzip that unpack to nothing.
    "empty blocks": repeating(
        HEAD + f"{ENCODING}gzip\r\n\r\n".encode() + gzip.compress(b"")[:10],
        b"\x00\x00\x00\xff\xff" * 9_000,
        pace=0,
    ),
}


@pytest.mark.parametrize("body", ENDLESS)
def test_reply_without_an_end_is_too_large(serve, calling, service, body):
    server = serve(ENDLESS[body])

    failure = end_of(calling(service, server.url))

    assert ("reply_too_large", True) == (reason_of(failure), failure.maybe_billed)
    assert server.left.wait(stretched(15)), "the connection is open"


def test_reply_of_the_largest_size_is_read_and_no_larger_one(serve, calling, service):
    body = BODIES[service]
    largest = body.ljust(SIZES[service])
    packed = f"{ENCODING}gzip"
    call = calling(
        service,
        serve(
            answering(
                reply(largest),
                reply(gzip.compress(largest), packed),
                reply(largest + b" "),
                reply(gzip.compress(largest + b" "), packed),
            )
        ).url,
    )

    assert [dict, dict] == [type(end_of(call)) for _ in range(2)]
    assert ["reply_too_large"] * 2 == [reason_of(end_of(call)) for _ in range(2)]


def test_gzip_is_unpacked_as_far_as_a_reply_may_be(serve, calling, service):
    bomb = gzip.compress(b" " * (10 * MODEL_REPLY))
    call = calling(service, serve(answering(reply(bomb, f"{ENCODING}gzip"))).url)
    tracemalloc.start()
    try:
        failure = end_of(call)
        _, most = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()

    assert "reply_too_large" == reason_of(failure)
    assert most < 5 * MODEL_REPLY


UNREADABLE = {
    "broken": (b"not gzip", "gzip", "malformed_answer"),
    "cut": (gzip.compress(b'{"a": "' + b"b" * 99)[:-9], "gzip", "malformed_answer"),
    "brotli": (b"\x0b\x02\x80{}\x03", "br", "reply_encoding_unsupported"),
    "packed twice": (gzip.compress(gzip.compress(b"{}")), "gzip, gzip", "reply_encoding_unsupported"),
}


@pytest.mark.parametrize("kind", UNREADABLE)
def test_reply_that_cannot_be_decoded_names_why(serve, calling, service, kind):
    body, encoding, reason = UNREADABLE[kind]

    failure = end_of(calling(service, serve(answering(reply(body, ENCODING + encoding))).url))

    assert (reason, True) == (reason_of(failure), failure.data.get("maybe_billed", True))


def test_request_asks_for_a_reply_that_is_not_packed(serve, calling, service):
    server = serve(answering(WHOLE[service]))

    end_of(calling(service, server.url))

    [request] = server.requests
    assert [b"accept-encoding: identity"] == [
        line.lower() for line in request.split(b"\r\n") if line.lower().startswith(b"accept-encoding")
    ]


DEEP = "[" * 100_000 + "]" * 100_000
NESTED = {
    "the body": DEEP,
    "a field": json.dumps({"choices": 7})[:-1] + f', "deep": {DEEP}}}',
    "the answer": json.dumps({"choices": [{"finish_reason": "stop", "message": {"content": DEEP}}]}),
    "the answer's field": json.dumps({"choices": [{"message": {"content": f'{{"word": {DEEP}}}'}}]}),
}


@pytest.mark.parametrize("where", NESTED)
def test_deeply_nested_answer_of_the_model_is_malformed(serve, calling, where):
    failure = end_of(calling("model", serve(answering(reply(NESTED[where].encode()))).url))

    assert reason_of(failure).startswith(("malformed_answer", "answer_does_not_fit"))


@pytest.mark.parametrize("where", ["the body", "a field"])
def test_deeply_nested_customer_is_malformed(serve, calling, where):
    body = NESTED[where]

    failure = end_of(calling("customers", serve(answering(reply(body.encode()))).url))

    assert "malformed_answer" == reason_of(failure)


ERRORS = {
    "endless": repeating(
        b"Transfer-Encoding: chunked\r\n\r\n", b"10000\r\n" + b" " * 65_536 + b"\r\n", pace=0
    ),
    "trickling": repeating(b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\n\n\r\n"),
    "brotli": answering(b"Content-Encoding: br\r\nContent-Length: 1\r\n\r\nx"),
    "deep": answering(f"Content-Length: {len(DEEP)}\r\n\r\n{DEEP}".encode()),
    # A charset by whose decoder a text would be unpacked.
    "charset": answering(b"Content-Type: text/html; charset=zlib\r\nContent-Length: 2\r\n\r\n{}"),
}


@pytest.mark.parametrize("status", [401, 429, 503])
@pytest.mark.parametrize("kind", ERRORS)
def test_status_of_an_error_counts_whatever_its_body_does(serve, calling, service, status, kind):
    head = f"HTTP/1.1 {status} Said\r\n".encode()

    def script(connection):
        send = connection.send
        connection.send = lambda content: (setattr(connection, "send", send), send(head + content))
        ERRORS[kind](connection)

    plain = end_of(calling(service, serve(answering(reply(b"", status=status))).url))
    failure = end_of(calling(service, serve(script).url, SHORT if kind == "trickling" else LONG))

    assert (type(plain), reason_of(plain)) == (type(failure), reason_of(failure))
