"""Sends the store's scripts to the nodes of a cluster: one round trip for each node, all at once.

A record, the index of its bucket and its wake-up channel are in one slot, so a script needs one node.
redis-py's own cluster client would do the same through the layers that ``link.py`` leaves out. Each node
has a breaker of its own: a lost node must not keep callers off the others.
"""

from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from threading import Lock
from time import monotonic
from typing import TYPE_CHECKING, Any

from redis.crc import key_slot
from redis.exceptions import AskError, ClusterDownError, MovedError, RedisError, ResponseError
from redis.exceptions import ConnectionError as RedisConnectionError

from askonce.adapters.redis.link import BreakerOpen, ServerLink, first_key
from askonce.adapters.redis.refusals import code_of
from askonce.events import Listener, ignore

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Sequence

    from redis import Redis

#: Host and port.
Node = tuple[str, int]
#: Turns of one call: the owner, the node that has the slot now, the node that is just getting it, and one
#: spare.
_TURNS = 4
#: Seconds after which no further node is queried for the slots. With a lost node before it, and each query
#: bounded by the client's timeout, a call stays below a second.
_LOOK_AROUND = 0.2
#: Seconds between queries for the slots on behalf of callers behind an open breaker.
_REFRESH_REST = 1.0


class ClusterLink:
    """The nodes of one cluster as one link; safe for threads."""

    is_cluster = True
    #: No broker can share a cluster.
    address = None

    def __init__(self, seeds: Sequence[Node], new_client: Callable[[Node], Redis]) -> None:
        """Find the nodes through any of *seeds*; *new_client* makes a node's client. Nothing is sent yet."""
        self._seeds, self._new_client = seeds, new_client
        self._listen: Listener = ignore
        self._links: dict[Node, ServerLink] = {}
        self._owners: dict[int, Node] = {}
        self._lock, self._pid, self._generation = Lock(), os.getpid(), 0
        self._refreshed_at = 0.0
        #: Nodes that did not answer the last query for the slots: they are queried last.
        self._silent: set[Node] = set()

    @property
    def moves(self) -> int:
        """How often the slots were queried: one of their nodes may be another one since."""
        return self._generation

    def report_to(self, listen: Listener) -> None:
        """Emit store.down and store.up of each node to *listen*."""
        self._listen = listen
        for link in list(self._links.values()):
            link.report_to(listen)

    def ask(self, *commands: tuple[Any, ...], always: bool = False) -> list[Any]:
        """Send each of *commands* to its key's node and return their replies in order; see ``Link.ask``.

        The error of a lost node is returned in the places of its commands: the other nodes get theirs all the
        same.

        Raises:
            redis.exceptions.RedisError: no node answered.
        """
        self._renew_after_fork()
        slots = [_slot(command) for command in commands]
        if not all(slot in self._owners for slot in slots):
            self._refresh(self._generation)
        replies: list[Any] = [None] * len(commands)
        # The number of a command, and the node that gets it in place of the owner.
        pending: dict[int, Node | None] = dict.fromkeys(range(len(commands)))
        for _ in range(_TURNS):
            generation, asked = self._generation, self._asked(slots, pending, replies)
            self._send(commands, asked, set(filter(None, pending.values())), replies, always=always)
            pending = self._elsewhere(slots, asked, replies, generation)
            if not pending:
                break
        if replies and all(_is_lost(reply) for reply in replies):
            raise replies[0]
        return replies

    def ask_each(self, *commands: tuple[Any, ...]) -> Iterator[Any]:
        """Yield what ``ask`` returns: the nodes are queried at the same time."""
        yield from self.ask(*commands)

    def client_of(self, key: str) -> Redis:
        """Return the client of the node that has *key*.

        Raises:
            redis.exceptions.RedisError: no node returned which one that is.
        """
        self._renew_after_fork()
        slot = key_slot(key.encode())
        if slot not in self._owners:
            self._refresh(self._generation)
        if slot not in self._owners:
            raise ClusterDownError("no node has this slot")
        return self._link(self._owners[slot]).client

    def place_of(self, key: str) -> str:
        """Return the node that has *key* as far as this process knows, or the seeds; sends nothing."""
        node = self._owners.get(key_slot(key.encode()))
        return ",".join(f"{host}:{port}" for host, port in ([node] if node else self._seeds))

    def refused(self, key: str, reason: str) -> None:
        """Report that the node that has *key* replied, and refused."""
        node = self._owners.get(key_slot(key.encode()))
        if node is not None:
            self._link(node).refused(key, reason)

    def clients(self) -> list[Redis]:
        """Return a client of each node that has slots, or of the seeds where no node answered."""
        self._renew_after_fork()
        try:
            self._refresh(self._generation)
        except RedisError:
            return [self._link(seed).client for seed in self._seeds]
        return [self._link(node).client for node in dict.fromkeys(self._owners.values())]

    def close(self) -> None:
        """Close every connection."""
        for link in list(self._links.values()):
            link.close()

    def _renew_after_fork(self) -> None:
        """Begin anew in a forked child: without its parent's links, and a lock that a thread there held."""
        if self._pid != os.getpid():
            self._links, self._lock, self._pid = {}, Lock(), os.getpid()

    def _asked(
        self, slots: list[int], pending: dict[int, Node | None], replies: list[Any]
    ) -> dict[int, Node]:
        """Return the node that each command goes to now, by the number of the command."""
        asked = {}
        for number, instead in pending.items():
            node = instead or self._owners.get(slots[number])
            if node is None:
                replies[number] = ClusterDownError("no node has this slot")
            else:
                asked[number] = node
        return asked

    def _send(
        self,
        commands: tuple[tuple[Any, ...], ...],
        asked: dict[int, Node],
        importing: set[Node],
        replies: list[Any],
        *,
        always: bool,
    ) -> None:
        """Send every node its part, at the same time; its answers, or its error, go to *replies*."""
        parts: dict[Node, list[int]] = {}
        for number, node in asked.items():
            parts.setdefault(node, []).append(number)

        def ask(node: Node) -> None:
            part = parts[node]
            # A node that is just getting a slot accepts a command for it only after ASKING.
            first = [("ASKING",)] if node in importing else []
            sent = [each for number in part for each in (*first, commands[number])]
            try:
                answers = self._link(node).ask(*sent, always=always)[len(first) :: 1 + len(first)]
            except RedisError as lost:
                answers = [lost] * len(part)
            for number, answer in zip(part, answers, strict=True):
                replies[number] = answer

        if len(parts) == 1:
            ask(*parts)
        elif parts:
            # One hanging node must not use up the time of the others, whose leases are renewed here too.
            with ThreadPoolExecutor(len(parts)) as pool:
                list(pool.map(ask, parts))

    def _elsewhere(
        self, slots: list[int], asked: dict[int, Node], replies: list[Any], generation: int
    ) -> dict[int, Node | None]:
        """Return the commands that must go to another node: which one, or None for the owner."""
        replied = {number: replies[number] for number in asked if isinstance(replies[number], RedisError)}
        moved = {number: error for number, error in replied.items() if isinstance(error, MovedError)}
        # Behind an open breaker the slots are queried once a second: a replica may have been promoted. The
        # same for a node that is cut off from the others: it replies to clients that it is down.
        recent = monotonic() - self._refreshed_at < _REFRESH_REST
        lost = {
            number
            for number, error in replied.items()
            if (_is_lost(error) or isinstance(error, ClusterDownError))
            and not (recent and isinstance(error, BreakerOpen | ClusterDownError))
        }
        if moved or lost:
            try:
                self._refresh(generation, without={asked[number] for number in lost})
            except RedisError:
                # The slots as known, and the node's own reply, must be enough.
                lost = set()
        for number, error in moved.items():
            self._owners[slots[number]] = _named(error, asked[number])
        again: dict[int, Node | None] = dict.fromkeys(moved)
        again |= {
            number: _named(error, asked[number])
            for number, error in replied.items()
            if isinstance(error, AskError) and number not in moved
        }
        return again | {
            number: None for number in lost if self._owners.get(slots[number]) not in (None, asked[number])
        }

    def _refresh(self, generation: int, without: Collection[Node] = ()) -> None:
        """Query where the slots are, unless a thread did since *generation*; skip nodes in *without*."""
        with self._lock:
            if self._generation != generation:
                return
            self._query_slots(without)
            forgotten = self._forget_nodes_without_slots()
        # Without the lock: a listener may call the store.
        for link in forgotten:
            # Its breaker would stay open for ever: no call goes there any more.
            link.breaker.answered()
            # Calls that are under way there may still fail, after their node's last store.up.
            link.report_to(ignore)
            link.close_idle()

    def _query_slots(self, without: Collection[Node]) -> None:
        until, error = monotonic() + _LOOK_AROUND, RedisError("no node to query")
        known = dict.fromkeys((*self._owners.values(), *self._seeds))
        for node in sorted(known, key=self._silent.__contains__):
            if node in without or monotonic() > until:
                continue
            try:
                [replied] = self._link(node).exchange_once(("CLUSTER", "SLOTS"))
            except RedisError as lost:
                error = lost
                self._silent.add(node)
                continue
            self._silent.discard(node)
            if isinstance(replied, ResponseError):
                # Also the reply of a server that is no cluster.
                error = RedisConnectionError(type(replied).__name__, status_code=code_of(replied) or None)
                continue
            self._owners = _owners(replied, node)
            self._generation += 1
            self._refreshed_at = monotonic()
            return
        raise error

    def _forget_nodes_without_slots(self) -> list[ServerLink]:
        owners = set(self._owners.values())
        return [self._links.pop(node) for node in list(self._links) if node not in owners]

    def _link(self, node: Node) -> ServerLink:
        link = self._links.get(node)
        if link is None:
            # Two threads may make one each; the one that is not kept has no connection yet.
            new = ServerLink(self._new_client(node))
            new.report_to(self._listen)
            link = self._links.setdefault(node, new)
        return link


def _is_lost(reply: object) -> bool:
    return isinstance(reply, RedisError) and not isinstance(reply, ResponseError)


def _slot(command: tuple[Any, ...]) -> int:
    return key_slot(first_key(command).encode())


def _named(error: AskError, by: Node) -> Node:
    # A node that does not know its own name leaves it out.
    return (error.host or by[0], int(error.port))


def _owners(replied: list[Any], by: Node) -> dict[int, Node]:
    """Return each slot's node, as *by* replied to CLUSTER SLOTS."""
    owners = {}
    for first, last, primary, *_ in replied:
        node = ((primary[0] or b"").decode() or by[0], int(primary[1]))
        owners.update(dict.fromkeys(range(first, last + 1), node))
    return owners
