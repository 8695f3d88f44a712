"""A server on loopback that speaks HTTP byte by byte, as the script of a test says."""

import contextlib
import select
import socket
import ssl
import threading

from tests.deadlines import stretched


class ByHand:
    """Runs *script* on each connection. Use as a context manager, or end it with ``close``."""

    def __init__(self, script, *, tls=None):
        self._script, self._tls = script, tls
        self._listening = socket.create_server(("127.0.0.1", 0), backlog=1024)
        self.port = self._listening.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self.connections, self.requests = [], []
        #: Set when a client has closed its connection.
        self.left, self.closed = threading.Event(), threading.Event()
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        """End all connections and wait for their scripts."""
        self.closed.set()
        wake(self._listening)
        self._threads[0].join(stretched(15))
        for connection in self.connections:
            wake(connection.socket)
        for thread in self._threads:
            thread.join(stretched(15))

    def _accept(self):
        with self._listening, contextlib.suppress(OSError):
            while True:
                connection = Connection(self, self._listening.accept()[0])
                self.connections.append(connection)
                self._threads.append(threading.Thread(target=self._run, args=(connection,)))
                self._threads[-1].start()

    def _run(self, connection):
        try:
            if self._tls:
                connection.socket = self._tls.wrap_socket(connection.socket, server_side=True)
            self._script(connection)
        except OSError:
            self.left.set()
        finally:
            connection.socket.close()


class Connection:
    """One connection of a client, as a script uses it; methods may raise OSError when the client left."""

    def __init__(self, server, taken):
        self.server, self.socket = server, taken

    def request(self):
        """Return the bytes of the next request, or None when the client has closed the connection."""
        taken = b""
        while not is_whole(taken):
            received = self.socket.recv(65_536)
            if not received:
                self.server.left.set()
                return None
            taken += received
        self.server.requests.append(taken)
        return taken

    def send(self, content):
        self.socket.sendall(content)

    def goes_on(self, pace):
        """Return whether the client is still there after *pace* seconds."""
        readable, _, _ = select.select([self.socket], [], [], pace)
        if readable and not self.socket.recv(65_536):
            self.server.left.set()
            return False
        return not self.server.closed.is_set()


def wake(taken):
    """End the connection of whoever waits on a socket, who closes it."""
    with contextlib.suppress(OSError):
        taken.shutdown(socket.SHUT_RDWR)


def is_whole(request):
    """Return whether *request* has its head and the whole body that its head announces."""
    head, end, body = request.partition(b"\r\n\r\n")
    lengths = [
        line.partition(b":")[2] for line in head.split(b"\r\n") if line.lower().startswith(b"content-length")
    ]
    return bool(end) and len(body) >= int(lengths[0] if lengths else 0)


def reply(body, *headers, status=200):
    """Return the bytes of a whole reply."""
    lines = (f"HTTP/1.1 {status} Said", f"Content-Length: {len(body)}", *headers, "", "")
    return "\r\n".join(lines).encode() + body


def answering(*replies):
    """Return a script that gives *replies* one after the other; the last one again and again."""
    left = list(replies)

    def script(connection):
        while connection.request():
            connection.send(left.pop(0) if len(left) > 1 else left[0])

    return script


def repeating(head, piece, *, pace=0.01):
    """Return a script that sends *head* once and *piece* without an end, every *pace* seconds."""

    def script(connection):
        if connection.request():
            connection.send(head)
            while connection.goes_on(pace):
                connection.send(piece)

    return script


class TlsInTls:
    """The server's end of TLS inside of a connection that has TLS already, in place of that one's socket."""

    def __init__(self, outer, context):
        self.outer = outer
        self._came, self._goes = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._tls = context.wrap_bio(self._came, self._goes, server_side=True)
        self._do(self._tls.do_handshake)

    def __getattr__(self, name):
        return getattr(self.outer, name)

    def recv(self, most):
        return self._do(lambda: self._tls.read(most))

    def sendall(self, content):
        self.outer.sendall(self.sealed(content))

    def sealed(self, content):
        """Return the record that holds *content*."""
        self._tls.write(content)
        return self._goes.read()

    def _do(self, step):
        while True:
            try:
                return step()
            except ssl.SSLWantReadError:
                pass
            except ssl.SSLEOFError:
                return b""
            finally:
                self._send()
            received = self.outer.recv(65_536)
            if received:
                self._came.write(received)
            else:
                self._came.write_eof()

    def _send(self):
        self.outer.sendall(self._goes.read())
