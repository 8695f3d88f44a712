"""Sends the store's scripts to the nodes of a cluster: one round trip for each node, all at once.

A record, the index of its bucket and its wake-up channel are in one slot, so a script needs one node.
redis-py's own cluster client would do the same over the layers that ``redis_link`` leaves out.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from threading import Lock
from time import monotonic
from typing import TYPE_CHECKING, Any

from redis.crc import key_slot
from redis.exceptions import AskError, ClusterDownError, MovedError, RedisError, ResponseError
from redis.exceptions import ConnectionError as RedisConnectionError

from askonce.adapters.redis.link import Link

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Sequence

    from redis import Redis

#: Host and port.
Node = tuple[str, int]
#: Of one call: to the owner, to who has the slot now, to who is just getting it, and one to spare.
_TURNS = 4
#: Seconds after which no further node is asked where the slots are: with a lost node before it, and each
#: question bounded by the client's timeout, a call stays below a second.
_LOOK_AROUND = 0.2
#: Where EVAL and EVALSHA have their first key; other commands have theirs in the second place.
_KEY = 3


class ClusterLink:
    """The nodes of one cluster as one link; safe for threads, and for a child after a fork."""

    def __init__(self, seeds: Sequence[Node], new_client: Callable[[Node], Redis]) -> None:
        """Find the nodes through any of *seeds*; *new_client* makes a node's client. Nothing is asked yet."""
        self._seeds, self._new_client = seeds, new_client
        self._links: dict[Node, Link] = {}
        self._owners: dict[int, Node] = {}
        self._lock, self._generation = Lock(), 0

    def ask(self, *commands: tuple[Any, ...]) -> list[Any]:
        """Send each of *commands* to its key's node and return their replies in order.

        An error reply is returned, and so is the error of a lost node, in the places of its commands: the
        others are asked all the same. A script may run twice, as with ``Link.ask``.

        Raises:
            redis.exceptions.RedisError: nobody answered.
        """
        slots = [_slot(command) for command in commands]
        if not all(slot in self._owners for slot in slots):
            self._refresh(self._generation)
        replies: list[Any] = [None] * len(commands)
        # The number of a command, and who is asked in place of the owner.
        pending: dict[int, Node | None] = dict.fromkeys(range(len(commands)))
        for _ in range(_TURNS):
            generation, asked = self._generation, self._asked(slots, pending, replies)
            self._send(commands, asked, set(filter(None, pending.values())), replies)
            pending = self._elsewhere(slots, asked, replies, generation)
            if not pending:
                break
        if replies and all(_is_lost(reply) for reply in replies):
            raise replies[0]
        return replies

    def place_of(self, commands: tuple[tuple[Any, ...], ...]) -> Node | None:
        """Return whose health tells of *commands*; None where that is the whole cluster's."""
        return self._owners.get(_slot(commands[0])) if len(commands) == 1 else None

    def client_of(self, key: str) -> Redis:
        """Return the client of the node that has *key*.

        Raises:
            redis.exceptions.RedisError: nobody told which one that is.
        """
        slot = key_slot(key.encode())
        if slot not in self._owners:
            self._refresh(self._generation)
        if slot not in self._owners:
            raise ClusterDownError("no node has this slot")
        return self._link(self._owners[slot]).client

    def clients(self) -> list[Redis]:
        """Return a client of each node that has slots, or of the seeds where nobody told."""
        try:
            self._refresh(self._generation)
        except RedisError:
            return [self._link(seed).client for seed in self._seeds]
        return [self._link(node).client for node in dict.fromkeys(self._owners.values())]

    def close(self) -> None:
        """Close every connection."""
        for link in list(self._links.values()):
            link.close()
            link.client.close()

    def _asked(
        self, slots: list[int], pending: dict[int, Node | None], replies: list[Any]
    ) -> dict[int, Node]:
        """Return who is asked now, by the number of the command."""
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
    ) -> None:
        """Ask every node for its part, at the same time; what it answers, or its error, goes to *replies*."""
        parts: dict[Node, list[int]] = {}
        for number, node in asked.items():
            parts.setdefault(node, []).append(number)

        def ask(node: Node) -> None:
            part = parts[node]
            # A node that is just getting a slot takes a command for it only when it is told so.
            first = [("ASKING",)] if node in importing else []
            sent = [each for number in part for each in (*first, commands[number])]
            try:
                answers = self._link(node).ask(*sent)[len(first) :: 1 + len(first)]
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
        """Return the commands that another node has to be asked for: who, or None for the owner."""
        told = {number: replies[number] for number in asked if isinstance(replies[number], RedisError)}
        moved = {number: error for number, error in told.items() if isinstance(error, MovedError)}
        lost = {number for number, error in told.items() if _is_lost(error)}
        if moved or lost:
            try:
                self._refresh(generation, without={asked[number] for number in lost})
            except RedisError:
                # What is known already, and what the node itself told, has to do.
                lost = set()
        for number, error in moved.items():
            self._owners[slots[number]] = _named(error, asked[number])
        again: dict[int, Node | None] = dict.fromkeys(moved)
        again |= {
            number: _named(error, asked[number])
            for number, error in told.items()
            if isinstance(error, AskError) and number not in moved
        }
        return again | {
            number: None for number in lost if self._owners.get(slots[number]) not in (None, asked[number])
        }

    def _refresh(self, generation: int, without: Collection[Node] = ()) -> None:
        """Ask where the slots are, unless somebody did since *generation*; not those in *without*."""
        with self._lock:
            if self._generation != generation:
                return
            until, error = monotonic() + _LOOK_AROUND, RedisError("no node to ask")
            for node in dict.fromkeys((*self._owners.values(), *self._seeds)):
                if node in without or monotonic() > until:
                    continue
                try:
                    [told] = self._link(node).ask_once(("CLUSTER", "SLOTS"))
                except RedisError as lost:
                    error = lost
                    continue
                if isinstance(told, ResponseError):
                    # Also of a server that is no cluster: an answer, but none to go on with.
                    error = RedisConnectionError(type(told).__name__)
                    continue
                self._owners = _owners(told, node)
                self._generation += 1
                return
            raise error

    def _link(self, node: Node) -> Link:
        # Two threads may make one each; the one that is not kept has no connection yet.
        return self._links.get(node) or self._links.setdefault(node, Link(self._new_client(node)))


def _is_lost(reply: object) -> bool:
    return isinstance(reply, RedisError) and not isinstance(reply, ResponseError)


def _slot(command: tuple[Any, ...]) -> int:
    return key_slot(command[_KEY if command[0].startswith("EVAL") else 1].encode())


def _named(error: AskError, by: Node) -> Node:
    # A node that does not know its own name leaves it out.
    return (error.host or by[0], int(error.port))


def _owners(told: list[Any], by: Node) -> dict[int, Node]:
    """Return each slot's node, as *by* told in reply to CLUSTER SLOTS."""
    owners = {}
    for first, last, primary, *_ in told:
        node = ((primary[0] or b"").decode() or by[0], int(primary[1]))
        owners.update(dict.fromkeys(range(first, last + 1), node))
    return owners
