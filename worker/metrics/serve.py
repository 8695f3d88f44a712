"""Serves the text of the metrics over HTTP: one reading a second at most, however many scrape at once."""

from __future__ import annotations

import logging
import time
from concurrent.futures import ThreadPoolExecutor
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, HTTPServer
from io import BufferedReader, RawIOBase
from socket import AF_INET, AF_INET6
from socketserver import TCPServer
from threading import Lock
from typing import TYPE_CHECKING, Any, Final

from prometheus_client.exposition import CONTENT_TYPE_LATEST

if TYPE_CHECKING:
    from collections.abc import Callable
    from socket import socket

    from _typeshed import WriteableBuffer

_log = logging.getLogger("askonce")
#: Seconds for which a text is served again.
KEPT_FOR: Final = 1.0
#: Requests that are answered at once; the others wait in the socket's queue.
_AT_ONCE: Final = 8
_WAITING: Final = 1_024
#: Seconds after its connection within which a whole request must be there: it holds one of those places.
_ASKED_WITHIN: Final = 1.0
#: Seconds for which a client may take nothing of its answer.
_PATIENCE: Final = 5.0


class Latest:
    """The latest text; made by one caller while the others wait for it. Safe for threads."""

    def __init__(self, make: Callable[[], bytes], *, clock: Callable[[], float] = time.monotonic) -> None:
        """Make a text with *make* where the last one is older than KEPT_FOR."""
        self._make, self._clock = make, clock
        self._lock = Lock()
        self._text, self._made_at = b"", float("-inf")

    def get(self) -> bytes:
        """Return a text that is at most KEPT_FOR seconds old."""
        with self._lock:
            if self._clock() - self._made_at >= KEPT_FOR:
                self._text = self._make()
                self._made_at = self._clock()
            return self._text


class MetricsServer(HTTPServer):
    """Answers ``GET /metrics``, in a few threads."""

    request_queue_size = _WAITING

    def __init__(
        self, address: tuple[str, int], latest: Latest, on_turn: Callable[[], object] = lambda: None
    ) -> None:
        """Listen on *address*; *on_turn* is called in each turn of the loop, at least twice a second.

        Raises:
            OSError: the address cannot be used.
        """
        # Only an address of IPv6 has a colon; a name is looked up for IPv4.
        self.address_family = AF_INET6 if ":" in address[0] else AF_INET
        self.latest, self._on_turn = latest, on_turn
        self._threads = ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="askonce-metrics")
        # _answer makes each request's handler: it has an end of its own.
        super().__init__(address, BaseHTTPRequestHandler)

    def server_bind(self) -> None:
        """Bind without a look at the resolver of host names, which may take its time."""
        # HTTPServer would ask it for a name that is shown nowhere.
        TCPServer.server_bind(self)
        self.server_name, self.server_port = str(self.server_address[0]), int(self.server_address[1])

    def service_actions(self) -> None:
        """Show that the loop goes on."""
        self._on_turn()

    def process_request(self, request: Any, client_address: Any) -> None:  # noqa: ANN401  # as its base has it
        """Answer in a thread of the pool."""
        self._threads.submit(self._answer, request, client_address, time.monotonic() + _ASKED_WITHIN)

    def server_close(self) -> None:
        """Listen no more, and end the threads."""
        super().server_close()
        self._threads.shutdown()

    def handle_error(self, request: Any, client_address: Any) -> None:  # noqa: ANN401  # as its base has it
        """Say nothing: a client that goes away in the middle is no error of ours."""

    def _answer(self, request: Any, client_address: Any, until: float) -> None:  # noqa: ANN401  # as its base has it
        try:
            _Handler(request, client_address, self, until)
        except OSError:
            self.handle_error(request, client_address)
        finally:
            self.shutdown_request(request)


class _Request(RawIOBase):
    """What a client sends until a moment; then only what is there already."""

    def __init__(self, connection: socket, until: float) -> None:
        self._connection, self._until = connection, until

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: WriteableBuffer, /) -> int:
        # A client that waited for its place has sent its request; one that says nothing gets no time anew.
        self._connection.settimeout(max(0.0, self._until - time.monotonic()))
        try:
            return self._connection.recv_into(buffer)
        except BlockingIOError:
            raise TimeoutError from None
        finally:
            self._connection.settimeout(_PATIENCE)


class _Handler(BaseHTTPRequestHandler):
    server: MetricsServer
    timeout = _PATIENCE
    server_version, sys_version = "askonce", ""

    def __init__(self, request: socket, client_address: object, server: MetricsServer, until: float) -> None:
        self._until = until
        super().__init__(request, client_address, server)

    def setup(self) -> None:
        """Read the request within its time, also from a client that sends byte by byte."""
        super().setup()
        self.rfile.close()
        self.rfile = BufferedReader(_Request(self.connection, self._until))

    def do_GET(self) -> None:
        """Send the metrics."""
        path = self.path.partition("?")[0]
        if path not in ("/", "/metrics"):
            self.send_error(HTTPStatus.NOT_FOUND)
            return
        try:
            text = self.server.latest.get()
        except Exception as error:  # noqa: BLE001  # whatever a reading raises: the next scrape reads anew
            # Not its text: it may hold anything.
            _log.error("metrics: a reading failed by %s", type(error).__name__)
            self.send_error(HTTPStatus.INTERNAL_SERVER_ERROR)
            return
        self.send_response(HTTPStatus.OK)
        self.send_header("Content-Type", CONTENT_TYPE_LATEST)
        self.send_header("Content-Length", str(len(text)))
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *_: object) -> None:
        """Log no request: a scrape comes every few seconds."""
