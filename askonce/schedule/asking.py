"""Enqueues what the query of a slot found, each payload under an id of the slot's own.

So a payload that is asked for again after a kill is the same job: it is counted once, and so is its cost.
"""

from __future__ import annotations

from hashlib import sha256
from typing import TYPE_CHECKING, Final, NamedTuple, cast

from askonce.errors import JobError, PayloadInvalid, SendFailed, StoreUnavailable
from askonce.job import JobId
from askonce.outcomes import Admitted
from askonce.record import Status
from askonce.replay import forget, replay

if TYPE_CHECKING:
    from askonce.job import Fingerprint, Job, Key
    from askonce.letters import DeadJob
    from askonce.outcomes import Outcome
    from askonce.schedule.entry import Entry
    from askonce.schedule.item import Item
    from askonce.schedule.site import Site

#: So many payloads of one step of a dry run are known again.
_TRIED: Final = 10_000


class Own(NamedTuple):
    """A job that the slot has made."""

    job: JobId
    key: Key


class Asked(NamedTuple):
    """What came of one payload."""

    #: ``admitted`` for a job of the slot, else the name of the outcome.
    word: str
    own: Own | None = None
    #: Why it was not enqueued; never its content.
    refused: str = ""
    #: Whether the broker took the message; a record without one is the reaper's.
    is_sent: bool = True


class Asking:
    """Asks for payloads in the name of one slot."""

    def __init__(self, site: Site, entry: Entry, slot: str, *, repeats: bool) -> None:
        """Enqueue on *site* for the slot of this name; *repeats*: perhaps once more, after a kill."""
        self._site, self._task, self._repeats = site, entry.query.task, repeats
        self._named = f"{entry.name}\0{slot}"
        #: The payloads of a dry run that would be asked.
        self._tried: dict[Key, Fingerprint] = {}

    def own(self, item: Item) -> Own:
        """Return the job that the slot makes of *item*.

        Raises:
            PayloadInvalid: names the field.
        """
        key = self._identify(item).key
        drawn = sha256(f"{self._named}\0{item.name}\0{key}".encode()).hexdigest()
        return Own(JobId(drawn[:32]), key)

    def ask(self, item: Item, own: Own) -> Asked:
        """Enqueue *item* as *own*.

        Raises:
            StoreUnavailable: nothing was enqueued.
        """
        if self._repeats and self._has_ended(own):
            # Its answer may be stale already, and this slot has paid for it.
            return Asked("admitted", own, refused=self.forget_letter(item.letter, own.key))
        if item.dead is not None:
            return self._replay(item.dead, own)
        try:
            return _asked(self._site.enqueue(self._task, item.payload, job=own.job, **item.options), own)
        except SendFailed:
            return Asked("admitted", own, is_sent=False)
        except PayloadInvalid as invalid:
            return refusal(invalid)
        except StoreUnavailable:
            raise
        except JobError as error:
            # Of this payload's record, or its options: the others go on.
            return Asked("refused", refused=str(error))

    def _has_ended(self, own: Own) -> bool:
        record = self._site.store.read([own.key])[0]
        return record.job == own.job and record.flight == "idle"

    def forget_letter(self, letter: Key | None, key: Key) -> str:
        """Forget the dead *letter* whose payload has the new *key*; return why the store does not.

        A worker was killed between the two, or the letter would be replayed by the next slot too.
        """
        return "" if letter in (None, key) else forget(self._site, letter)

    def _replay(self, dead: DeadJob, own: Own) -> Asked:
        done = replay(self._site, dead, job=own.job)
        if done.outcome is None:
            return Asked("admitted", own, is_sent=False) if done.ok else Asked("refused", refused=done.words)
        asked = _asked(done.outcome, own)
        if done.ok:
            return asked
        # A job that was made costs, also where its letter could not be forgotten.
        return asked._replace(word=asked.word if asked.own else "refused", refused=done.words)

    def look_at(self, item: Item) -> Asked:
        """Return what asking for *item* would come to; one read.

        Raises:
            PayloadInvalid: names the field.
        """
        return self._look_at(item, self._identify(item))

    def try_out(self, item: Item) -> Asked:
        """Return what asking for *item* would come to, after those that this step has tried out before.

        Raises:
            PayloadInvalid: names the field.
        """
        job = self._identify(item)
        tried = self._tried.get(job.key)
        asked = Asked("attached") if tried == job.fingerprint else self._look_at(item, job, tried)
        if asked.word == "would_ask" and len(self._tried) < _TRIED:
            self._tried[job.key] = job.fingerprint
        return asked

    def _identify(self, item: Item) -> Job:
        return self._site.identify(self._task, item.payload, str(item.options.get("tenant", "")))

    def _look_at(self, item: Item, job: Job, tried: Fingerprint | None = None) -> Asked:
        try:
            record = self._site.store.read([job.key])[0].checked()
        except StoreUnavailable:
            raise
        except JobError as error:
            return Asked("refused", refused=str(error))
        if (tried or record.fingerprint) not in ("", job.fingerprint):
            # What is under the key is of another payload: it answers nothing.
            refuses = self._site.specs[self._task].on_mismatch == "conflict"
            return Asked("conflict" if refuses else "would_ask")
        max_age, value = cast("float | None", item.options.get("max_age")), record.value
        if record.flight != "idle":
            return Asked("attached")
        if item.letter == job.key:
            return Asked("would_ask")
        if value is not None and value.fresh and (max_age is None or value.age <= max_age):
            return Asked("hit")
        if record.status in (Status.FAILED, Status.QUARANTINED):
            return Asked("negative")
        return Asked("backoff" if record.wait > 0 else "would_ask")


def refusal(invalid: PayloadInvalid) -> Asked:
    """Return what comes of a payload that cannot be used."""
    fields = "; ".join(f"{field} {reason}".strip() for field, reason in invalid.reasons.items())
    return Asked("invalid", refused=fields)


def _asked(outcome: Outcome, own: Own) -> Asked:
    if outcome.job == own.job or isinstance(outcome, Admitted):
        return Asked("admitted", Own(outcome.job, outcome.key))
    return Asked(type(outcome).__name__.lower())
