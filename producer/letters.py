"""Finds what was given up on the store, asks for it anew, or forgets it."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, cast

import orjson
from kombu.exceptions import OperationalError

from askonce.errors import JobError, SendFailed, StoreUnavailable
from askonce.job import split_edition
from askonce.outcomes import Admitted
from settings.servers import new_app

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from askonce.letters import DeadStore, Letter, Quarantined
    from producer.client import Client

#: Records of one round trip.
PAGE = 500
#: Digits of a key that may stand for it, if no other one begins so.
SHORTEST = 12


@dataclass(frozen=True, slots=True, kw_only=True)
class Grave:
    """One thing that was given up: a job in quarantine, or a letter."""

    job: Quarantined | None = None
    letter: Letter | None = None

    @property
    def id(self) -> str:
        """What names it."""
        return self.job.key if self.job else cast("Letter", self.letter).id

    @property
    def found(self) -> Quarantined | Letter:
        """The one that it is."""
        return self.job or cast("Letter", self.letter)

    def told(self, *, payload: bool = False) -> dict[str, object]:
        """Return all that a person may see."""
        what: dict[str, object] = {
            "id": self.id,
            "what": "job" if self.job else "letter",
            "task": self.found.task,
            "job": self.found.job,
            "reason": self.found.reason,
        }
        if self.job is not None:
            version, tenant = split_edition(self.job.edition)
            what |= {
                "key": self.job.key,
                "kind": "quarantined",
                "version": version,
                "tenant": tenant,
                "attempts": self.job.attempts,
                "history": list(self.job.history),
                "since": _day(self.job.since),
                "until": _day(self.job.until),
            }
        elif self.letter is not None:
            size = {"bytes": self.letter.size, "whole": self.letter.whole, "queue": self.letter.queue}
            what |= {"since": _day(int(self.letter.id.partition("-")[0]) / 1000), **size}
        return what | ({"payload": self._payload()} if payload else {})

    def _payload(self) -> object:
        body = self.job.payload if self.job else cast("Letter", self.letter).body
        try:
            return json.loads(body)
        except ValueError:
            return body.decode(errors="replace")

    def __str__(self) -> str:
        told = self.told()
        name = self.id[:16] if self.job else self.id
        words = [str(told["since"]), name, str(told["what"]), self.found.task or "-", self.found.reason]
        # What a stranger wrote must not move a person's cursor.
        return "  ".join("".join(c if c.isprintable() else "?" for c in word) for word in words)


class Graves:
    """What was given up on one store."""

    def __init__(self, client: Client) -> None:
        """Look at *client*'s store; ask by its producer."""
        self._client = client
        self._store = cast("DeadStore", client.store)

    def matching(self, *, task: str | None, reason: str | None, payload: bool = False) -> Iterator[Grave]:
        """Yield what *task* and *reason* choose, jobs before letters, the oldest first."""
        keys = [key for key, _ in self._store.dead()]
        for start in range(0, len(keys), PAGE):
            for found in self._store.show(keys[start : start + PAGE], payload=payload):
                if found is not None and _fits(found, task, reason):
                    yield Grave(job=found)
        for letter in self._store.letters():
            if _fits(letter, task, reason):
                yield Grave(letter=letter)

    def chosen(self, *, task: str | None, reason: str | None) -> Iterator[tuple[str, Grave | None]]:
        """Yield the same with names, as ``named`` does; payloads are fetched one by one."""
        for grave in list(self.matching(task=task, reason=reason)):
            if grave.job is None:
                yield grave.id, grave
            elif (found := self._store.show([grave.id], payload=True)[0]) is not None:
                yield grave.id, Grave(job=found)

    def named(self, ids: Sequence[str], *, payload: bool) -> Iterator[tuple[str, Grave | None]]:
        """Yield each of *ids* with what it names; None for one that names nothing, or several."""
        keys = [key for key, _ in self._store.dead()]
        letters = (
            {each.id: each for each in self._store.letters()} if any("-" in each for each in ids) else {}
        )
        for name in dict.fromkeys(ids):
            if name in letters:
                yield name, Grave(letter=letters[name])
                continue
            fitting = [key for key in keys if key.startswith(name)] if len(name) >= SHORTEST else []
            found = self._store.show(fitting, payload=payload)[0] if len(fitting) == 1 else None
            yield name, Grave(job=found) if found else None

    def replay(self, grave: Grave) -> tuple[str, bool]:
        """Ask anew; return what became of it, and whether it left the list.

        Raises:
            StoreUnavailable: nothing was asked.
        """
        return self._ask_anew(grave.job) if grave.job else self._send_again(cast("Letter", grave.letter))

    def discard(self, grave: Grave) -> tuple[str, bool]:
        """Forget it."""
        if grave.letter is not None:
            return ("discarded", True) if self._store.drop_letters([grave.id]) else ("gone", False)
        if self._store.show([grave.id])[0] is None:
            return "gone", False
        self._store.invalidate(grave.id)
        return "discarded", True

    def _ask_anew(self, job: Quarantined) -> tuple[str, bool]:
        if job.task not in self._client.specs:
            return "unknown task", False
        _, tenant = split_edition(job.edition)
        try:
            payload = orjson.loads(job.payload)
            # Forced, since the kept failure would answer; a copy that runs already is attached to.
            outcome = self._client.enqueue(job.task, payload, force=True, tenant=tenant)
        except SendFailed:
            return "admitted, but not sent; a worker sends it after the queue deadline", True
        except StoreUnavailable:
            raise
        except (JobError, orjson.JSONDecodeError) as exc:
            return f"refused: {exc}", False
        if outcome.key != job.key and isinstance(outcome, Admitted):
            # A new version of the task gives the question a new key: the new job takes the old one's place.
            self._store.invalidate(job.key)
            return f"admitted as {outcome.key}", True
        return type(outcome).__name__.lower(), outcome.key == job.key

    def _send_again(self, letter: Letter) -> tuple[str, bool]:
        about: dict[str, Any] = json.loads(letter.about)
        if not letter.whole or not about.get("headers"):
            return "is no whole message: it can only be discarded", False
        app = new_app()
        queue = app.amqp.queues.get(letter.queue)
        if queue is None:
            # A broker takes a message for a queue that is not there, and drops it.
            return f"no worker reads its queue {letter.queue!r}: it can only be discarded", False
        try:
            with app.producer_or_acquire() as producer:
                producer.publish(
                    letter.body,
                    routing_key=letter.queue,
                    declare=[queue],
                    headers=about["headers"],
                    content_type=about["content_type"],
                    content_encoding=about["content_encoding"],
                    correlation_id=letter.job,
                    retry=False,
                )
        except OperationalError:
            return "not sent: the broker does not answer", False
        # In this order: a crash in between sends it twice, and a second copy is answered from the record.
        self._store.drop_letters([letter.id])
        return "sent", True


def _fits(found: Quarantined | Letter, task: str | None, reason: str | None) -> bool:
    return task in (None, found.task) and reason in (None, found.reason)


def _day(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds")
