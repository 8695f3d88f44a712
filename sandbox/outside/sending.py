"""Turns a reply into bytes, and sends it on a connection that its client may have left."""

import json
import select
import socket
import struct
from http import HTTPStatus

from sandbox.outside.openai_wire import Reply


def head_of(reply: Reply, length: int | None) -> bytes:
    """Return the status line and the headers; without a *length* the body ends with the connection."""
    headers = {"Content-Type": "application/json", **reply.headers}
    if length is None:
        headers["Connection"] = "close"
    else:
        headers["Content-Length"] = str(length)
    lines = [
        f"HTTP/1.1 {reply.status:d} {_phrase(reply.status)}",
        *(f"{name}: {value}" for name, value in headers.items()),
    ]
    return "\r\n".join([*lines, "", ""]).encode()


def body_of(reply: Reply) -> bytes:
    """Return the body: the reply's own bytes, or its JSON."""
    return json.dumps(reply.body, ensure_ascii=False).encode() if reply.content is None else reply.content


def bytes_of(reply: Reply) -> bytes:
    """Return the whole reply."""
    body = body_of(reply)
    return head_of(reply, len(body)) + body


class Line:
    """The server's end of a connection."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection

    def arrives(self, data: bytes) -> bool:
        """Send *data*; return whether the client was there to receive it."""
        try:
            self._connection.sendall(data)
        except OSError:
            return False
        return not self.has_left()

    def has_left(self) -> bool:
        """Return whether the client has closed its connection, or was killed."""
        try:
            # The socket of a killed process is closed: recv() then returns no bytes instead of raising.
            return not self._connection.recv(1, socket.MSG_PEEK | socket.MSG_DONTWAIT)
        except BlockingIOError:
            return False
        except OSError:
            return True

    def wait(self, seconds: float | None = None) -> bool:
        """Return whether the client left within *seconds*."""
        waiting = select.poll()  # select() takes no descriptor above 1023
        waiting.register(self._connection, select.POLLIN)
        waiting.poll(None if seconds is None else seconds * 1000)
        return self.has_left()

    def reset(self) -> None:
        """End the connection without its goodbye, as a crashed host does."""
        self._connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        # Others hold the connection too; without a descriptor they neither send nor close properly.
        socket.close(self._connection.detach())


def _phrase(status: int) -> str:
    try:
        return HTTPStatus(status).phrase
    except ValueError:
        return "Unknown"
