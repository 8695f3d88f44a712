"""The server of the metrics: what it answers, and what it costs."""

import socket
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from threading import Event, Thread
from urllib.error import HTTPError
from urllib.request import urlopen

import pytest

from tests.deadlines import stretched
from worker.__main__ import VERBS, main
from worker.metrics import command
from worker.metrics.serve import KEPT_FOR, Latest, MetricsServer, _Request


class Reader:
    def __init__(self):
        self.readings = 0

    def __call__(self):
        self.readings += 1
        return b"askonce_workers 1.0\n"


@contextmanager
def serving(latest, on_turn=lambda: None, host="127.0.0.1"):
    with MetricsServer((host, 0), latest, on_turn) as server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()


def get(server, path="/metrics", host="127.0.0.1"):
    with urlopen(f"http://{host}:{server.server_port}{path}", timeout=stretched(30)) as answer:
        return answer.read()


def test_text_is_made_anew_once_it_is_a_second_old():
    now, reader = [0.0], Reader()
    latest = Latest(reader, clock=lambda: now[0])
    for at, readings in ((0.0, 1), (KEPT_FOR - 0.01, 1), (KEPT_FOR, 2)):
        now[0] = at
        latest.get()
        assert readings == reader.readings


def test_a_thousand_scrapes_at_once_cost_one_reading(monkeypatch):
    # The clients share the interpreter with the server: one may be connected for long before it can ask.
    monkeypatch.setattr("worker.metrics.serve._ASKED_WITHIN", stretched(30))
    reader = Reader()
    with serving(Latest(reader, clock=lambda: 0.0)) as server, ThreadPoolExecutor(100) as pool:
        texts = set(pool.map(lambda _: get(server), range(1000)))

    assert ({b"askonce_workers 1.0\n"}, 1) == (texts, reader.readings)


@pytest.mark.parametrize("sent", [b"", b"GET /metrics HTTP/1.0\r\nx-"])
def test_clients_that_ask_nothing_are_let_go_and_another_is_answered(sent):
    with serving(Latest(Reader())) as server, ExitStack() as stack:
        idle = [stack.enter_context(socket.create_connection(server.server_address[:2])) for _ in range(40)]
        for each in idle:
            each.sendall(sent)
            each.settimeout(stretched(30))
        assert get(server)
        assert {b""} == {each.recv(1) for each in idle}


def test_request_that_drips_is_over_at_its_time(monkeypatch):
    theirs, ours = socket.socketpair()
    now = iter([0.0, 0.4, 0.8, 1.2])
    monkeypatch.setattr("worker.metrics.serve.time.monotonic", lambda: next(now))
    with theirs, ours:
        asked = _Request(ours, until=1.0)
        for byte in (b"G", b"E", b"T"):
            theirs.sendall(byte)
            assert 1 == asked.readinto(bytearray(9))
        with pytest.raises(TimeoutError):
            asked.readinto(bytearray(9))


def test_loop_shows_that_it_goes_on_while_no_client_comes():
    turns = Event()
    with serving(Latest(Reader()), turns.set):
        assert turns.wait(stretched(10))


def test_other_paths_are_not_found():
    with serving(Latest(Reader())) as server, pytest.raises(HTTPError) as refused:
        get(server, "/secrets")

    with refused.value as answer:
        assert 404 == answer.code


def test_reading_that_fails_is_no_answer_and_the_next_one_is(caplog):
    failing = Event()
    failing.set()

    def make():
        if failing.is_set():
            raise ValueError("secret")
        return b"ok\n"

    with serving(Latest(make)) as server:
        with pytest.raises(HTTPError) as refused:
            get(server)
        with refused.value as answer:
            assert 500 == answer.code
        failing.clear()
        assert b"ok\n" == get(server)

    assert ["metrics: a reading failed by ValueError"] == caplog.messages


def test_address_of_ipv6_is_served():
    address = command._address("[::1]:0")
    assert ("::1", 0) == address

    with serving(Latest(Reader()), host=address[0]) as server:
        assert get(server, host="[::1]")


@pytest.mark.parametrize(
    "address", ["::1:9808", "[::1:9808", "[localhost]:9808", "[1.2.3.4]:9808", "[]:9808"]
)
def test_brackets_are_for_addresses_of_ipv6(address, capsys):
    with pytest.raises(SystemExit) as ended:
        command.main(["--serve", address])

    assert 2 == ended.value.code
    assert f"'{address}' is no [HOST]:PORT; an address of IPv6 is in brackets" in capsys.readouterr().err


@pytest.mark.parametrize("address", ["9808", ":", ":port", ":65536", "host:-1", ""])
def test_address_that_cannot_be_meant_is_refused_by_name(address, capsys):
    with pytest.raises(SystemExit) as ended:
        command.main(["--serve", address])

    assert 2 == ended.value.code
    assert f"argument --serve: '{address}' is no [HOST]:PORT" in capsys.readouterr().err


def test_port_that_is_taken_is_one_line(capsys):
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert 69 == command.main(["--serve", f"127.0.0.1:{port}"])

    assert f"metrics: cannot listen on 127.0.0.1:{port}: Address already in use\n" == capsys.readouterr().err


@pytest.mark.parametrize("arguments", [[], ["metric"], ["--help"]])
def test_verb_that_is_not_there_is_refused_with_those_that_are(arguments, capsys):
    assert 2 == main(arguments)
    said = capsys.readouterr().err
    assert all(verb in said for verb in VERBS)
