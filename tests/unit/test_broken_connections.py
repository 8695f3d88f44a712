"""What a call makes of a connection that fails, on real sockets: had the request left?"""

from __future__ import annotations

import socket
import struct
import threading

import pytest
from pydantic import BaseModel, SecretStr

from askonce.errors import CallFailed, Postponed, Transient
from settings.environment import Settings
from tasks.providers.http import HttpLookup
from tasks.providers.openai.model import LanguageModel

GOOD = b'{"choices": [{"finish_reason": "stop", "message": {"content": "{\\"word\\": \\"fine\\"}"}}]}'
ANSWER = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%s" % (
    len(GOOD),
    GOOD,
)


class Verdict(BaseModel):
    word: str


def settings(port):
    url = f"http://127.0.0.1:{port}"
    return Settings(
        _env_file=None,
        openai_api_key=SecretStr("k"),
        openai_base_url=f"{url}/v1",
        customer_api_url=url,
        customer_api_timeout=30.0,
        llm_timeout=30.0,
    )


def model_at(port):
    model = LanguageModel(settings(port))
    return lambda: model.ask(instructions="judge", text="words", schema=Verdict)


def customers_at(port):
    lookup = HttpLookup(settings(port))
    return lambda: lookup.fetch("customers", "7")


@pytest.fixture
def nobody():
    """A port that refuses: it is taken, and nobody listens."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield taken.getsockname()[1]


class Closing:
    """Answers so many requests of one connection, then closes it without an answer."""

    def __init__(self, answered, *, reset):
        self.socket, self.requests = socket.create_server(("127.0.0.1", 0)), 0
        self.port = self.socket.getsockname()[1]
        self._answered, self._reset = answered, reset
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self):
        connection, _ = self.socket.accept()
        with connection:
            while True:
                self._read(connection)
                self.requests += 1
                if self.requests > self._answered:
                    break
                connection.sendall(ANSWER)
            if self._reset:
                connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))

    def _read(self, connection):
        got = b""
        while b"\r\n\r\n" not in got:
            got += connection.recv(65_536)
        head, _, body = got.partition(b"\r\n\r\n")
        lengths = [line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:")]
        left = (int(lengths[0].partition(b":")[2]) if lengths else 0) - len(body)
        while left > 0:
            left -= len(connection.recv(65_536))


@pytest.fixture
def closing():
    """Make a server that closes its connections."""
    made = []

    def make(answered=0, *, reset=False):
        made.append(Closing(answered, reset=reset))
        return made[-1]

    yield make
    for server in made:
        server.socket.close()


def failure_of(call):
    with pytest.raises(CallFailed) as caught:
        call()
    return caught.value


def test_model_that_nobody_serves_uses_no_attempt(nobody):
    failure = failure_of(model_at(nobody))

    assert (type(failure), failure.reason, failure.retry_after) == (Postponed, "connect_failed", None)


def test_customers_that_nobody_serves_are_an_attempt(nobody):
    failure = failure_of(customers_at(nobody))

    assert (type(failure), failure.reason, failure.maybe_billed) == (Transient, "connect_failed", False)


@pytest.mark.parametrize("answered", [0, 1, 2])
@pytest.mark.parametrize("reset", [False, True])
def test_model_that_takes_the_request_and_leaves_may_be_paid(closing, answered, reset):
    server = closing(answered, reset=reset)
    ask = model_at(server.port)
    for _ in range(answered):
        ask()

    failure = failure_of(ask)

    assert (type(failure), failure.reason, failure.data.get("maybe_billed")) == (
        Transient,
        "connection_lost",
        True,
    )
    assert answered + 1 == server.requests


def test_customers_that_take_the_request_and_leave_are_lost(closing):
    failure = failure_of(customers_at(closing().port))

    assert (type(failure), failure.reason) == (Transient, "connection_lost")
