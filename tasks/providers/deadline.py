"""Bounds the time of a whole call: each step on its connection gets what is left of it.

A socket's timeout begins anew with each byte, so a service that sends one now and then holds a call for ever.
"""

from __future__ import annotations

import socket
import ssl
from functools import partial
from time import monotonic
from typing import TYPE_CHECKING, Any, Final, Self, TypeVar

import httpcore2

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

T = TypeVar("T")
#: Bytes of one step of a write. The connection begins its timeout anew after each part that it could send.
_STEP: Final = 16_384


class Deadline(float):
    """The seconds that one step may take, and the time at which its whole call ends.

    It travels as the timeout that httpx2 hands down to the connection of a request. So it belongs to one
    call, whatever runs the calls of a process: threads, processes or greenlets.
    """

    __slots__ = ("_ends",)
    _ends: float

    def __new__(cls, seconds: float, ends: float) -> Self:
        """Allow a step *seconds*, but nothing after *ends*, a time of ``time.monotonic``."""
        made = super().__new__(cls, seconds)
        made._ends = ends
        return made

    def left(self) -> float:
        """Return the seconds that the step may take from now on."""
        return min(float(self), self._ends - monotonic())


def of_call(timeouts: Mapping[str, float | None]) -> dict[str, float | None]:
    """Return *timeouts* of httpx2 as deadlines of one call: it begins now, and a read's timeout bounds it."""
    total = timeouts["read"]
    assert total is not None, "every call has a timeout"
    ends = monotonic() + total
    steps = {
        step: Deadline(total if seconds is None else seconds, ends) for step, seconds in timeouts.items()
    }
    # The pool waits on an event, which reads a timeout as a number.
    return {**steps, "pool": timeouts["pool"]}


def _left(timeout: float | None, late: type[Exception]) -> float | None:
    """Return the seconds of a step; raise *late* where its call has none left."""
    if not isinstance(timeout, Deadline):
        return timeout
    left = timeout.left()
    if left <= 0:
        raise late
    return left


class Connections(httpcore2.SyncBackend):
    """Opens connections on which every step heeds the deadline of its call."""

    def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: Iterable[httpcore2.SOCKET_OPTION] | None = None,
    ) -> httpcore2.NetworkStream:
        """Connect to the first address of *host* that accepts; all of them share one timeout."""
        seconds = _left(timeout, httpcore2.ConnectTimeout)
        together = None if seconds is None else Deadline(seconds, monotonic() + seconds)
        failed: Exception = httpcore2.ConnectError()
        for address in _addresses(host, port):
            left = _left(together, httpcore2.ConnectTimeout)
            try:
                return _Stream(super().connect_tcp(address, port, left, local_address, socket_options))
            except (httpcore2.ConnectError, httpcore2.ConnectTimeout) as error:
                failed = error
        raise failed


def _addresses(host: str, port: int) -> list[str]:
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        raise httpcore2.ConnectError from None
    return [str(address[0]) for *_, address in found]


class _Stream(httpcore2.NetworkStream):
    """A connection whose steps end with their call."""

    def __init__(self, inner: httpcore2.NetworkStream) -> None:
        self._inner = inner

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        return self._inner.read(max_bytes, _left(timeout, httpcore2.ReadTimeout))

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        for start in range(0, len(buffer), _STEP):
            self._inner.write(buffer[start : start + _STEP], _left(timeout, httpcore2.WriteTimeout))

    def close(self) -> None:
        self._inner.close()

    def start_tls(
        self, ssl_context: ssl.SSLContext, server_hostname: str | None = None, timeout: float | None = None
    ) -> httpcore2.NetworkStream:
        if self.get_extra_info("ssl_object") is not None:
            return _TlsInTls(self, ssl_context, server_hostname, timeout)
        left = _left(timeout, httpcore2.ConnectTimeout)
        return _Stream(self._inner.start_tls(ssl_context, server_hostname, left))

    def get_extra_info(self, info: str) -> Any:  # noqa: ANN401  # httpcore2's own signature
        return self._inner.get_extra_info(info)


class _TlsInTls(httpcore2.NetworkStream):
    """TLS to a service inside of TLS to a proxy; httpcore2's own begins its timeout anew with each byte."""

    def __init__(
        self, outer: _Stream, context: ssl.SSLContext, hostname: str | None, timeout: float | None
    ) -> None:
        self._outer = outer
        self._came, self._goes = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._came, self._goes, server_hostname=hostname)
        try:
            self._do(self._tls.do_handshake, timeout)
        except httpcore2.TimeoutException:
            self.close()
            raise httpcore2.ConnectTimeout from None
        except (httpcore2.NetworkError, ssl.SSLError):
            self.close()
            raise httpcore2.ConnectError from None

    def read(self, max_bytes: int, timeout: float | None = None) -> bytes:
        try:
            return self._do(partial(self._tls.read, max_bytes), timeout)
        except (ssl.SSLZeroReturnError, ssl.SSLEOFError):
            return b""
        except ssl.SSLError:
            raise httpcore2.ReadError from None

    def write(self, buffer: bytes, timeout: float | None = None) -> None:
        try:
            while buffer:
                buffer = buffer[self._do(partial(self._tls.write, buffer), timeout) :]
        except ssl.SSLError:
            raise httpcore2.WriteError from None

    def close(self) -> None:
        self._outer.close()

    def get_extra_info(self, info: str) -> Any:  # noqa: ANN401  # httpcore2's own signature
        if info == "is_readable" and (self._came.pending or self._tls.pending()):
            # More came than the last reply, so the connection cannot be kept.
            return True
        return self._tls if info == "ssl_object" else self._outer.get_extra_info(info)

    def _do(self, step: Callable[[], T], timeout: float | None) -> T:
        """Return what *step* returns once it has the bytes that it needs; send what it makes."""
        while True:
            try:
                made = step()
            except ssl.SSLWantReadError:
                self._outer.write(self._goes.read(), timeout)
            else:
                self._outer.write(self._goes.read(), timeout)
                return made
            received = self._outer.read(_STEP, timeout)
            if received:
                self._came.write(received)
            else:
                self._came.write_eof()
