"""The two services of the tests: how each is called, and what it answers."""

import threading

from pydantic import BaseModel

from askonce.errors import CallFailed
from tasks.providers.transport import CUSTOMER_REPLY, MODEL_REPLY
from tests.deadlines import stretched
from tests.servers.by_hand import repeating, reply

#: A call that is to end by its time, and one that must not.
SHORT, LONG = 1.0, 600.0
#: Seconds of a call that ends by its time on a machine that is busy for a moment.
MOST = 3.0
HEAD = b"HTTP/1.1 200 OK\r\n"
CHUNKED = HEAD + b"Transfer-Encoding: chunked\r\n\r\n"
BODIES = {
    "model": b'{"choices": [{"message": {"content": "{\\"word\\": \\"fine\\"}"}}]}',
    "customers": b'{"cliente_nome": "Ana Souza"}',
}
WHOLE = {service: reply(body) for service, body in BODIES.items()}
SIZES = {"model": MODEL_REPLY, "customers": CUSTOMER_REPLY}
ENCODING = "Content-Encoding: "


class Verdict(BaseModel):
    word: str


def outcome_of(call):
    """Return what *call* returned, or what it raised."""
    try:
        return call()
    except Exception as error:  # noqa: BLE001  # judged by the test
        return error


def end_of(call, within=30):
    """Return the outcome of *call*; it must end."""
    ended, outcomes = threading.Event(), []

    def run():
        outcomes.append(outcome_of(call))
        ended.set()

    threading.Thread(target=run, daemon=True).start()
    assert ended.wait(stretched(within)), "the call goes on"
    return outcomes[0]


def reason_of(outcome):
    assert isinstance(outcome, CallFailed), outcome
    return outcome.reason


TRICKLES = {
    "blank lines": repeating(CHUNKED, b"1\r\n\n\r\n"),
    "a body without a length": repeating(HEAD + b"\r\n", b" "),
    "a header": repeating(HEAD + b"X-Slow: ", b"x"),
    "headers": repeating(HEAD, b"X-Slow: x\r\n"),
    "a status": repeating(b"HTTP/1.1 200 ", b"O"),
    "interim replies": repeating(b"", b"HTTP/1.1 100 Continue\r\n\r\n"),
    "a chunk's size": repeating(CHUNKED + b"1;", b"x"),
    "trailers": repeating(CHUNKED + b"0\r\n", b"X-Slow: x\r\n"),
    "nothing": repeating(b"", b""),
}
