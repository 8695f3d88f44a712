"""Builds the HTTP client of every service: each reply is bounded, and nothing of it reaches the next call.

    request ──> reply, read whole ──> Response, without cookies and without an address to go on to
                  │
                  ├─ ReplyRefused      reply_too_large, reply_encoding_unsupported, malformed_answer
                  └─ ReadTimeout       the call's time is over; its connection is closed

The body is read here, because the clients read it without a bound: that of an error too.
"""

from __future__ import annotations

import zlib
from contextlib import closing
from functools import partial
from typing import TYPE_CHECKING, Any, Final, cast

import httpx2

# The same names and rules as of every client of httpx2, which heeds them only with its own transport.
from httpx2._utils import get_environment_proxies

from askonce.errors import Transient
from tasks.providers.correlation import attempt_of_call, keep_id, name_job
from tasks.providers.deadline import Connections, of_call

if TYPE_CHECKING:
    import ssl
    from collections.abc import Iterable

#: Bytes of a model's reply, decoded. An answer of 128,000 tokens has about 0.5 MB.
MODEL_REPLY: Final = 8_000_000
#: Bytes of one customer, decoded.
CUSTOMER_REPLY: Final = 1_000_000
#: Idle connections that wait for the next call.
_KEPT: Final = 100
#: What a client would act on, or fail on, and what is no longer true of a body that is decoded.
_DROPPED: Final = frozenset(
    {b"set-cookie", b"location", b"content-encoding", b"content-length", b"transfer-encoding"}
)
#: A reply that cannot be read may have been paid, so no third call is made.
_ATTEMPTS: Final = 2
_GZIP: Final = zlib.MAX_WBITS | 16


class ReplyRefused(httpx2.RequestError):
    """The service replied, but its reply is too large or cannot be decoded."""

    def __init__(self, reason: str) -> None:
        """Give the *reason*, a word of the closed list."""
        super().__init__(reason)
        self.reason = reason

    def failure(self) -> Transient:
        """Return the engine's error."""
        return Transient(self.reason, maybe_billed=True, max_attempts=_ATTEMPTS)


def new_client(*, timeout: float | httpx2.Timeout, largest_reply: int, base_url: str = "") -> httpx2.Client:
    """Return a client for any number of threads; *largest_reply* is in bytes.

    The read timeout of a request bounds its whole call. No redirect is followed, no cookie is kept. The
    variables ``HTTPS_PROXY``, ``HTTP_PROXY``, ``ALL_PROXY``, ``NO_PROXY``, ``SSL_CERT_FILE`` and
    ``SSL_CERT_DIR`` are heeded.
    """
    build = partial(_Transport, verify=httpx2.create_ssl_context(), largest_reply=largest_reply)
    proxies = get_environment_proxies()
    return httpx2.Client(
        base_url=base_url,
        timeout=timeout,
        headers={"Accept-Encoding": "identity"},
        transport=build(),
        mounts={pattern: None if proxy is None else build(proxy=proxy) for pattern, proxy in proxies.items()},
    )


class _Transport(httpx2.HTTPTransport):
    """Returns a reply when it is read as a whole, within the call's time and its bytes."""

    def __init__(self, *, verify: ssl.SSLContext, largest_reply: int, proxy: str | None = None) -> None:
        # No call waits for the connection of another.
        limits = httpx2.Limits(max_connections=None, max_keepalive_connections=_KEPT)
        super().__init__(verify=verify, limits=limits, proxy=proxy)
        # The pool takes it as an argument, but the transport hands none on.
        self._pool._network_backend = Connections()  # noqa: SLF001
        self._largest_reply = largest_reply

    def handle_request(self, request: httpx2.Request) -> httpx2.Response:
        attempt = attempt_of_call()
        if attempt is not None:
            name_job(request, attempt)
        request.extensions = {**request.extensions, "timeout": of_call(request.extensions["timeout"])}
        with closing(super().handle_request(request)) as reply:
            if attempt is not None:
                keep_id(reply, attempt)
            body = _Body(self._largest_reply)
            try:
                body.read(cast("Iterable[bytes]", reply.stream), reply.headers.get("content-encoding", ""))
            except httpx2.RequestError:
                # The status of an error says what it means, also where its body has no end.
                if reply.is_success:
                    raise
            if _has_more(reply):
                reply.extensions["network_stream"].close()
            return _without_traces(reply, bytes(body.content))


class _Body:
    """The decoded bytes of one reply, as far as they are read."""

    def __init__(self, limit: int) -> None:
        self.content = bytearray()
        self._limit = limit
        self._received = 0

    def read(self, pieces: Iterable[bytes], encoding: str) -> None:
        """Read all *pieces* of a body in an *encoding* of HTTP.

        Raises:
            ReplyRefused: it is too large or cannot be decoded.
        """
        match encoding.strip().lower():
            case "" | "identity":
                for piece in pieces:
                    self._add(piece, piece)
            case "gzip" | "x-gzip":
                self._unpack(pieces)
            case _:
                raise ReplyRefused("reply_encoding_unsupported")

    def _unpack(self, pieces: Iterable[bytes]) -> None:
        decoder = zlib.decompressobj(_GZIP)
        try:
            for piece in pieces:
                # One byte beyond the limit is enough to see that there is one.
                self._add(piece, decoder.decompress(piece, self._limit - len(self.content) + 1))
        except zlib.error:
            raise ReplyRefused("malformed_answer") from None
        if self._received and not decoder.eof:
            raise ReplyRefused("malformed_answer")

    def _add(self, received: bytes, decoded: bytes) -> None:
        self._received += len(received)
        self.content += decoded
        # Packed bytes can go on without an end and unpack to nothing.
        if max(self._received, len(self.content)) > self._limit:
            raise ReplyRefused("reply_too_large")


def _has_more(reply: httpx2.Response) -> bool:
    """Return whether more came than the *reply*: the next call on its connection would take it as its own."""
    # No public way leads to the bytes that were read beyond a reply.
    connection = cast("Any", reply.stream)._httpcore_stream._stream._connection  # noqa: SLF001
    return bool(connection._h11_state.trailing_data[0])  # noqa: SLF001


def _without_traces(reply: httpx2.Response, content: bytes) -> httpx2.Response:
    """Return the *reply* with its *content*, and without what would make a client act on its own."""
    # A charset chooses the decoder of an error's text, and some of them unpack.
    headers = [
        (name, value.partition(b";")[0] if name.lower() == b"content-type" else value)
        for name, value in reply.headers.raw
        if name.lower() not in _DROPPED
    ]
    return httpx2.Response(reply.status_code, headers=headers, content=content)
