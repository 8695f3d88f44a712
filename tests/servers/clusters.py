"""Runs several servers that belong together, on ports of 127.0.0.1: a cluster, or a pair with sentinels."""

from __future__ import annotations

import threading
from contextlib import ExitStack
from functools import partial
from time import monotonic
from typing import TYPE_CHECKING, Any, Self

from redis import Redis
from redis.exceptions import RedisError

from sandbox.server import free_port
from sandbox.valkey import Valkey
from tests.deadlines import is_past

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

_SLOTS = 16384
_READY_SECONDS = 30.0
#: The shortest time after which a busy machine does not take a living server for a dead one (ms).
_DOWN_AFTER = 1000
MASTER_NAME = "main"


class Cluster:
    """Three nodes that share the slots, with *replicas* of the first of them."""

    def __init__(
        self, *, replicas: int = 0, options: str = "", binary: Path | None = None, papers: Path | None = None
    ) -> None:
        """Take the others for each node as ``Valkey`` does."""
        node = partial(_cluster_node, options, binary, papers)
        self.nodes = [node() for _ in range(3 + replicas)]
        self._stack = ExitStack()

    def __enter__(self) -> Self:
        for node in self.nodes:
            self._stack.enter_context(node)
        self._join()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    @property
    def url(self) -> str:
        """Where a store finds the records."""
        return self.url_of()

    def url_of(self, login: str = "") -> str:
        """Return the same for whoever has *login*, as in ``user:password@``."""
        places = ",".join(f"{node.host}:{node.port}" for node in self.nodes[:3])
        return f"{self.nodes[0].scheme}+cluster://{login}{places}"

    def flush(self) -> None:
        """Forget all records."""
        for node in self.nodes[:3]:
            ask(node, "FLUSHALL")

    def _join(self) -> None:
        for number, node in enumerate(self.nodes[:3]):
            first, beyond = (_SLOTS * part // 3 for part in (number, number + 1))
            ask(node, "CLUSTER", "ADDSLOTSRANGE", first, beyond - 1)
        head = self.nodes[0]
        for node in self.nodes[1:]:
            ask(node, "CLUSTER", "MEET", "127.0.0.1", head.port, self._bus_port(head))
        await_that(lambda: all(len(_lines(node)) == len(self.nodes) for node in self.nodes))
        name = ask(head, "CLUSTER", "MYID").decode()
        for node in self.nodes[3:]:
            await_that(lambda node=node: ask(node, "CLUSTER", "REPLICATE", name))  # type: ignore[misc]  # a default
        await_that(lambda: all(self._is_ready(node) for node in self.nodes))

    def _is_ready(self, node: Valkey) -> bool:
        up = b"cluster_state:ok" in ask(node, "CLUSTER", "INFO")
        return up and (node in self.nodes[:3] or b"master_link_status:up" in ask(node, "INFO", "replication"))

    def _bus_port(self, node: Valkey) -> int:
        return int(ask(node, "CONFIG", "GET", "cluster-port")[1])


class Watched:
    """A primary, its replica, and three sentinels that make it the primary when the first is lost."""

    def __init__(
        self,
        *,
        options: str = "",
        sentinel_options: str = "",
        binary: Path | None = None,
        papers: Path | None = None,
    ) -> None:
        """Take the others for each server as ``Valkey`` does."""
        self._stack, self._sentinel_options = ExitStack(), sentinel_options
        self._new = partial(Valkey, tcp=True, binary=binary, papers=papers)
        self.primary = self._new(options=options)
        self._host = host = self.primary.host
        lines = (
            f"replicaof {host} {self.primary.port}",
            f"replica-announce-ip {host}",
            "repl-ping-replica-period 1",
            options,
        )
        self.replica = self._new(options="\n".join(lines))
        self.sentinels = [self._sentinel() for _ in range(3)]

    def __enter__(self) -> Self:
        for server in (self.primary, self.replica):
            self._stack.enter_context(server)
        await_that(lambda: b"state=online" in ask(self.primary, "INFO", "replication"))
        for sentinel in self.sentinels:
            self._stack.enter_context(sentinel)
        # Until they know of each other and of the replica, they could not replace the primary.
        await_that(lambda: all(self._is_ready(sentinel) for sentinel in self.sentinels))
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    @property
    def url(self) -> str:
        """Where store and broker find whoever is primary."""
        return self.url_of()

    def url_of(self, login: str = "", query: str = "") -> str:
        """Return the same for whoever has *login*, as in ``user:password@``; *query* follows the rest."""
        scheme = "rediss+sentinel" if self.primary.scheme == "rediss" else "sentinel"
        first, *others = (f"{sentinel.host}:{sentinel.port}" for sentinel in self.sentinels)
        places = ";".join(f"{scheme}://{place}" for place in (f"{login}{first}", *others))
        return f"{places}/0?master_name={MASTER_NAME}{query}"

    def await_replica(self) -> None:
        """Return when the replica has all that was written by now."""
        await_that(
            lambda: (
                _offset(ask(self.primary, "INFO", "replication"))
                == _offset(ask(self.replica, "INFO", "replication"))
            )
        )

    def await_failover(self) -> None:
        """Return when the replica is the primary and the sentinels say so."""
        place = [self._host.encode(), str(self.replica.port).encode()]
        await_that(
            lambda: (
                all(
                    ask(each, "SENTINEL", "GET-MASTER-ADDR-BY-NAME", MASTER_NAME) == place
                    for each in self.sentinels
                )
                and b"role:master" in ask(self.replica, "INFO", "replication")
            )
        )

    def _sentinel(self) -> Valkey:
        lines = (
            # So that a certificate is asked for by the name that it has.
            "sentinel resolve-hostnames yes",
            "sentinel announce-hostnames yes",
            f"sentinel monitor {MASTER_NAME} {self._host} {self.primary.port} 2",
            f"sentinel down-after-milliseconds {MASTER_NAME} {_DOWN_AFTER}",
            f"sentinel failover-timeout {MASTER_NAME} 5000",
            self._sentinel_options,
        )
        return self._new(options="\n".join(lines), arguments=("--sentinel",))

    @staticmethod
    def _is_ready(sentinel: Valkey) -> bool:
        told = ask(sentinel, "SENTINEL", "MASTER", MASTER_NAME)
        known = told if isinstance(told, dict) else dict(zip(told[::2], told[1::2], strict=True))
        counted = [known.get(name) for name in (b"num-slaves", b"num-other-sentinels", b"flags")]
        return counted == [b"1", b"2", b"master"]


def ask(server: Valkey, *command: object) -> Any:  # as the command answers
    """Ask *server* one thing, and take its answer as it is."""
    client = Redis(unix_socket_path=str(server.socket), protocol=2)
    try:
        connection: Any = client.connection_pool.get_connection()
        connection.send_command(*command)
        return connection.read_response()
    finally:
        client.close()


def await_that(condition: Callable[[], object]) -> None:
    """Return once *condition* holds; an error of a server means not yet.

    Raises:
        TimeoutError: it did not hold in time.
    """
    began, never = monotonic(), threading.Event()
    while not is_past(began, _READY_SECONDS):
        try:
            if condition():
                return
        except RedisError:
            pass
        never.wait(0.02)
    raise TimeoutError("the servers did not come together")


def _cluster_node(options: str, binary: Path | None, papers: Path | None) -> Valkey:
    # By default the bus is 10000 ports further on, where the kernel's own ports may end.
    lines = [f"cluster-port {free_port()}", f"cluster-node-timeout {_DOWN_AFTER}", options]
    if papers:
        # So that a certificate is asked for by the name that it has.
        lines += ["cluster-announce-hostname localhost", "cluster-preferred-endpoint-type hostname"]
    return Valkey(tcp=True, options="\n".join(["cluster-enabled yes", *lines]), binary=binary, papers=papers)


def _lines(node: Valkey) -> list[bytes]:
    return [line for line in ask(node, "CLUSTER", "NODES").splitlines() if b"handshake" not in line]


def _offset(info: bytes) -> bytes:
    fields = dict(line.split(b":", 1) for line in info.splitlines() if b":" in line)
    return fields.get(b"slave_repl_offset") or fields[b"master_repl_offset"]
