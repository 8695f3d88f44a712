"""Runs the record's scripts on their servers: their sources, their keys, one round trip for each call.

Keys are ``{askonce:<namespace>:<bucket>}:rec:<key>``, ``...:idx`` and ``...:dead``. The braces put a
record, the index of its bucket and its wake-up channel into one slot of a cluster.
"""

from __future__ import annotations

import re
from collections import deque
from hashlib import sha1
from typing import TYPE_CHECKING, Any

from redis.exceptions import NoScriptError, RedisError, ResponseError

from askonce.adapters.redis.link import BreakerOpen, first_key
from askonce.adapters.redis.refusals import damage_of
from askonce.adapters.redis.reply import pairs_of
from askonce.adapters.redis.servers import reason_of
from askonce.adapters.redis.sources import sources as joined
from askonce.errors import JobError, LayoutNewer, RecordDamaged, StoreUnavailable
from askonce.job import Key
from askonce.record import BUCKETS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from askonce.adapters.redis.link import Link

VERBS = (
    "read",
    "hit",
    "start",
    "renew",
    "checkpoint",
    "complete",
    "put",
    "fail",
    "park",
    "cancel",
    "cancel_run",
    "invalidate",
    "reap",
    "resent",
)
#: The scripts of the lists of jobs, the controls, the counters, the workers' announcements, the boards, the
#: runs, the schedule, the levels and the queues in use.
OTHERS = (
    "dead",
    "show",
    "control",
    "mark",
    "kept",
    "book",
    "fold",
    "today",
    "succeeded",
    "announce",
    "workers",
    "exchange",
    "propose",
    "hold",
    "release",
    "ask_to_stop",
    "runs",
    "schedule_look",
    "schedule_decide",
    "schedule_ended",
    "schedule_progress",
    "schedule_pause",
    "look",
    "find",
    "levels",
    "note_queues",
    "used_queues",
    "going_stale",
)
#: No caller waits for these, so they run even while callers are kept off a server that is down. They keep
#: leases and paid answers, and the first of them that gets a reply lets the callers in again.
_ALWAYS = frozenset({"renew", "complete", "fail", "park", "reap", "resent", "book"})
_NAMESPACE = re.compile(r"[A-Za-z0-9_.-]{1,40}")

#: The keys of a call, and its arguments.
Call = tuple[tuple[str, ...], tuple[bytes | str | int, ...]]
Command = tuple[bytes | str | int, ...]


def sources(clock: str | None = None) -> dict[str, str]:
    """Return each script's source; *clock* replaces the server's clock in tests."""
    return joined((*VERBS, *OTHERS), clock)


class Scripts:
    """The scripts of one namespace on one link."""

    def __init__(self, link: Link, *, namespace: str, clock: str | None = None) -> None:
        """Send scripts through *link*; *namespace* separates applications that share the servers."""
        if not _NAMESPACE.fullmatch(namespace):
            raise ValueError(f"namespace must match {_NAMESPACE.pattern}")
        self.link = link
        self.prefix = f"{{askonce:{namespace}:b"
        self.letters_key = f"{{askonce:{namespace}:letters}}"
        self.tally_key = f"{{askonce:{namespace}:tally}}:"
        #: The channel that says which answers were made old.
        self.invalidated = f"{self.prefix}00}}:invalidated"
        self._sources = sources(clock)
        self._shas = {
            verb: sha1(text.encode(), usedforsecurity=False).hexdigest()
            for verb, text in self._sources.items()
        }

    def record_keys(self, key: Key) -> tuple[str, str]:
        """Return the record of *key*, and the index of its bucket."""
        slot = f"{self.prefix}{key[:2]}}}:"
        return f"{slot}rec:{key}", f"{slot}idx"

    def bucket_key(self, bucket: int, name: str) -> str:
        """Return another key of the bucket: ``record.lua`` lists them."""
        return f"{self.prefix}{bucket % BUCKETS:02x}}}:{name}"

    def command(self, verb: str, keys: tuple[str, ...], args: tuple[bytes | str | int, ...]) -> Command:
        """Return what runs a script with its text: for one that goes along and is not sent a second time."""
        return "EVAL", self._sources[verb], len(keys), *keys, *args

    def run(
        self, verb: str, key: Key, *args: bytes | str | int, queue: str = "", along: Iterable[Command] = ()
    ) -> Any:  # noqa: ANN401  # a status or a list, as the script returns
        """Run one script on the record of *key*: the path of every call, so it does nothing twice.

        What goes *along* is sent in the same round trip; its replies are dropped.

        Raises:
            StoreUnavailable: the server did not answer, or refused.
            LayoutNewer, RecordDamaged: the record cannot be used here.
        """
        keys = (*self.record_keys(key), queue) if queue else self.record_keys(key)
        command = ("EVALSHA", self._shas[verb], len(keys), *keys, *args)
        reply = self.send(verb, command, *along)[0]
        if isinstance(reply, NoScriptError):
            reply = self.send(verb, ("EVAL", self._sources[verb], *command[2:]))[0]
        if isinstance(reply, RedisError):
            if queue and damage_of(reply):
                # Of the record, or of the queue: a list that is none is no fault of the record.
                self.run("read", key)
                raise self.unavailable(verb, queue, reply) from reply
            raise self._to_error(verb, keys[0], reply) from reply
        return reply

    def run_on_each(
        self,
        verb: str,
        calls: Iterable[tuple[Key, tuple[bytes | str | int, ...]]],
        along: Iterable[Command] = (),
    ) -> list[Any]:
        """Run one script on the records of some keys, each with its arguments; see ``run_each``."""
        return self.run_each(verb, [(self.record_keys(key), args) for key, args in calls], along)

    def run_each(self, verb: str, calls: Sequence[Call], along: Iterable[Command] = ()) -> list[Any]:
        """Run one script many times in one round trip; a server that lost the script gets it again.

        An error that concerns one record is returned in the place of its reply, as LayoutNewer or
        RecordDamaged: it must not cost the others theirs.

        Raises:
            StoreUnavailable: a server did not answer, or refused.
        """
        if not calls:
            return []
        commands = [("EVALSHA", self._shas[verb], len(keys), *keys, *args) for keys, args in calls]
        replies = self.send(verb, *commands, *along)[: len(commands)]
        # A cluster's nodes lose scripts one by one: each round teaches at least one of them.
        while missing := [i for i, reply in enumerate(replies) if isinstance(reply, NoScriptError)]:
            # EVAL teaches the script to the server, because its user may not run SCRIPT.
            first, *others = missing
            replies[first] = self.send(verb, ("EVAL", self._sources[verb], *commands[first][2:]))[0]
            again = self.send(verb, *(commands[i] for i in others)) if others else []
            for i, reply in zip(others, again, strict=True):
                replies[i] = reply
        return [self._checked(verb, call, reply) for call, reply in zip(calls, replies, strict=True)]

    def _checked(self, verb: str, call: Call, reply: Any) -> Any:  # noqa: ANN401  # as the script returns
        """Return *reply*, or the error that concerns one record.

        Raises:
            StoreUnavailable: the server refused. A cluster may have lost some of its nodes.
        """
        if not isinstance(reply, RedisError):
            return reply
        error = self._to_error(verb, call[0][0], reply)
        error.__cause__ = reply
        if not isinstance(error, LayoutNewer | RecordDamaged):
            raise error
        return error

    def run_as_they_come(
        self, verb: str, calls: Sequence[Call], along: Iterable[Command] = ()
    ) -> Iterator[Any]:
        """Yield what ``run_each`` returns, as the replies come."""
        if not calls:
            return
        commands = [("EVALSHA", self._shas[verb], len(keys), *keys, *args) for keys, args in calls]
        seen = 0
        try:
            replies = self.link.ask_each(*commands, *along)
            for reply in replies:
                if seen == len(calls):
                    continue
                if isinstance(reply, NoScriptError):
                    # Its connection is closed if it has replies that were not read.
                    deque(replies, maxlen=0)
                    break
                yield self._checked(verb, calls[seen], reply)
                seen += 1
        except RedisError as exc:
            raise self.unavailable(verb, first_key(commands[0]), exc) from exc
        yield from self.run_each(verb, calls[seen:])

    def run_all(self, verb: str, calls: Sequence[Call], along: Iterable[Command] = ()) -> list[Any]:
        """Run one script many times in one round trip, all or nothing.

        Raises:
            StoreUnavailable: a server did not answer, or refused.
            LayoutNewer, RecordDamaged: of the first call that had this error.
        """
        replies = self.run_each(verb, calls, along)
        for reply in replies:
            if isinstance(reply, JobError):
                raise reply
        return replies

    def send(self, verb: str, *commands: tuple[Any, ...]) -> list[Any]:
        """Send *commands* and return their replies; an error reply is returned.

        Raises:
            StoreUnavailable: no server answered.
        """
        try:
            return self.link.ask(*commands, always=verb in _ALWAYS)
        except RedisError as exc:
            raise self.unavailable(verb, first_key(commands[0]), exc) from exc

    def hashes(self, names: Sequence[str]) -> list[dict[bytes, bytes]]:
        """Return the whole hashes of these *names*, in one round trip.

        Raises:
            StoreUnavailable: a server did not answer, or its user may not read them.
        """
        replies = self.send("read", *(("HGETALL", name) for name in names)) if names else []
        for name, reply in zip(names, replies, strict=True):
            if isinstance(reply, RedisError):
                raise self.unavailable("read", name, reply) from reply
        return [dict(pairs_of(reply)) for reply in replies]

    def unavailable(self, verb: str, name: str, error: RedisError) -> StoreUnavailable:
        """Return the error for a server that did not do *verb*: the one that has the key of this *name*."""
        reason = "breaker_open" if isinstance(error, BreakerOpen) else reason_of(error)
        if isinstance(error, ResponseError):
            self.link.refused(name, reason)
        return StoreUnavailable(verb=verb, reason=reason, server=self.link.place_of(name))

    def _to_error(self, verb: str, name: str, reply: RedisError) -> Exception:
        """Return the error for *reply* to a script on the record or the list of this *name*."""
        if "ASKONCE_LAYOUT_NEWER" in str(reply):
            return LayoutNewer(verb=verb, key=_key_of(name))
        if "ASKONCE_LEASE" in str(reply):
            return ValueError("a lease must be longer than 0 seconds")
        if damage := damage_of(reply):
            return RecordDamaged(key=_key_of(name), reason=damage)
        return self.unavailable(verb, name, reply)


def _key_of(name: str) -> Key:
    """Return the key of the record of this *name*; for a list of records, its name."""
    return Key(name.partition(":rec:")[2] or name)
