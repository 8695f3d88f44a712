"""Dead letters: quarantined jobs and unusable messages. An operator can show, replay or discard each."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, Protocol

from askonce.cli.moments import moment
from askonce.letters import DeadJob
from askonce.line import one_line
from askonce.replay import forget, replay

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from askonce.cli.site import Site
    from askonce.letters import DeadMessage

#: Records of one round trip.
PAGE = 100
#: So many first digits of a key name a dead letter, if no other key begins with them.
_SHORTEST = 12


class Done(NamedTuple):
    """What an action did, and whether the dead letter left the list."""

    outcome: str
    ok: bool


class DeadLetter(Protocol):
    """A quarantined job or an unusable message."""

    @property
    def id(self) -> str:
        """The key of a job, or the number of a message."""

    @property
    def line(self) -> str:
        """The dead letter in one line of a list."""

    @property
    def cure(self) -> str:
        """What to do about all dead letters of its reason, in one line; empty where nothing is known."""

    def shown(self, *, payload: bool = False) -> dict[str, object]:
        """Return all that an operator may see; customers' data only with *payload*."""

    def replay(self) -> Done:
        """Enqueue or send it again.

        Raises:
            StoreUnavailable: nothing was enqueued or sent.
        """

    def discard(self) -> Done:
        """Forget it."""


@dataclass(frozen=True, slots=True)
class QuarantinedJob:
    """A job whose attempts are spent."""

    site: Site
    found: DeadJob

    @property
    def id(self) -> str:
        """The job's key."""
        return self.found.job.key

    @property
    def line(self) -> str:
        """The job in one line; the key is cut."""
        return _line(moment(self.found.since), self.id[:16], "job", self.found.job.task, self.found.reason)

    @property
    def cure(self) -> str:
        """What to do about all jobs of its reason."""
        word = self.found.reason.partition("@")[0]
        cure = self.site.cure_of(word, kind="quarantined")
        return one_line(f"{word}: {cure}") if cure else ""

    def shown(self, *, payload: bool = False) -> dict[str, object]:
        """Return the job with its history."""
        job = self.found.job
        return {
            "id": job.key,
            "what": "job",
            "task": job.task,
            "job": job.id,
            "reason": self.found.reason,
            "cure": self.site.cure_of(self.found.reason, kind="quarantined", key=job.key),
            "key": job.key,
            "kind": "quarantined",
            "version": job.version,
            "tenant": job.tenant,
            "attempts": self.found.attempts,
            "cost_usd": self.found.spend.cost_usd,
            "usage": dict(self.found.spend.usage),
            "history": list(self.found.history),
            "since": moment(self.found.since),
            "until": moment(self.found.until),
            **({"payload": _readable(job.payload)} if payload else {}),
        }

    def replay(self) -> Done:
        """Enqueue the job again, as DeadLetter.replay."""
        # A list has no payloads: they are read one by one.
        found = self.site.store.letters.show([self.found.job.key], payload=True)[0]
        if found is None:
            return Done("gone", ok=False)
        done = replay(self.site, found)
        return Done(done.words, ok=done.ok)

    def discard(self) -> Done:
        """Forget the job, and the last good answer under its key."""
        key = self.found.job.key
        if self.site.store.letters.show([key])[0] is None:
            return Done("gone", ok=False)
        refused = forget(self.site, key)
        return Done(refused or "discarded", ok=not refused)


@dataclass(frozen=True, slots=True)
class UnusableMessage:
    """A message that no worker could use."""

    site: Site
    found: DeadMessage

    @property
    def id(self) -> str:
        """The number that the store gave it."""
        return self.found.id

    @property
    def line(self) -> str:
        """The message in one line."""
        return _line(self._since, self.id, "message", self.found.task, self.found.reason)

    @property
    def cure(self) -> str:
        """Nothing: its reason says what is wrong with it."""
        return ""

    def shown(self, *, payload: bool = False) -> dict[str, object]:
        """Return the message with its size and its queue."""
        message = self.found
        return {
            "id": message.id,
            "what": "message",
            "task": message.task,
            "job": message.job,
            "reason": message.reason,
            "since": self._since,
            "bytes": message.size,
            "whole": message.whole,
            "queue": message.queue,
            **({"payload": _readable(message.body)} if payload else {}),
        }

    def replay(self) -> Done:
        """Send the message to its queue again, as DeadLetter.replay."""
        why = self.site.send_again(self.found)
        if why is not None:
            return Done(why, ok=False)
        # In this order: a crash in between sends the message twice, and the record answers the second copy.
        self.site.store.letters.drop([self.id])
        return Done("sent", ok=True)

    def discard(self) -> Done:
        """Forget the message."""
        dropped = self.site.store.letters.drop([self.id])
        return Done("discarded", ok=True) if dropped else Done("gone", ok=False)

    @property
    def _since(self) -> str:
        return moment(int(self.id.partition("-")[0]) / 1000)


class DeadLetters:
    """The dead letters of one store."""

    def __init__(self, site: Site) -> None:
        """List those of *site*'s store; replay by its broker."""
        self._site, self._letters = site, site.store.letters

    def matching(self, *, task: str | None, reason: str | None) -> Iterator[DeadLetter]:
        """Yield those of *task* and *reason*, without payloads: jobs before messages, the oldest first."""
        keys = [key for key, _ in self._letters.dead_jobs()]
        for start in range(0, len(keys), PAGE):
            for job in self._letters.show(keys[start : start + PAGE]):
                if job is not None and _fits(job, task, reason):
                    yield QuarantinedJob(self._site, job)
        for message in self._letters.dead_messages():
            if _fits(message, task, reason):
                yield UnusableMessage(self._site, message)

    def named(self, ids: Sequence[str], *, payload: bool = False) -> Iterator[tuple[str, DeadLetter | None]]:
        """Yield each of *ids* with its dead letter; None for an id of none, or of several."""
        keys = [key for key, _ in self._letters.dead_jobs()]
        # Only the id of a message has a dash.
        messages = self._letters.dead_messages() if any("-" in each for each in ids) else []
        known = {message.id: message for message in messages}
        for name in dict.fromkeys(ids):
            if name in known:
                yield name, UnusableMessage(self._site, known[name])
                continue
            fitting = [key for key in keys if key.startswith(name)] if len(name) >= _SHORTEST else []
            job = self._letters.show(fitting, payload=payload)[0] if len(fitting) == 1 else None
            yield name, QuarantinedJob(self._site, job) if job else None


def _fits(found: DeadJob | DeadMessage, task: str | None, reason: str | None) -> bool:
    found_task = found.job.task if isinstance(found, DeadJob) else found.task
    # What stands behind @ is a place: who asks for all timeouts means each of them.
    return task in (None, found_task) and reason in (None, found.reason, found.reason.partition("@")[0])


def _line(since: str, name: str, what: str, task: str, reason: str) -> str:
    # Control characters of a foreign message must not reach a terminal.
    return one_line("  ".join((since, name, what, task or "-", reason)))


def _readable(body: bytes) -> object:
    try:
        return json.loads(body)
    except ValueError:
        return body.decode(errors="replace")
