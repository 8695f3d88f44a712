"""Admits jobs and pushes their messages, where the store's own server is the broker too."""

from __future__ import annotations

from itertools import groupby
from secrets import token_hex
from typing import TYPE_CHECKING, cast

from askonce.adapters.redis.claims import arguments, to_admission, to_admission_or_error
from askonce.claim import Claim
from askonce.errors import JobError, LayoutNewer, RecordDamaged
from askonce.job import Fingerprint, JobId

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from redis.exceptions import RedisError

    from askonce.adapters.redis.scripts import Call, Scripts
    from askonce.adapters.redis.used_queues import RedisUsedQueues
    from askonce.store import Address, Admission, Push, Reply

#: Jobs of one script. With more a job would cost no less, and the server serves no other caller meanwhile.
_JOBS = 50


class RedisPusher:
    """Admits jobs and pushes their messages on the store's own server."""

    def __init__(self, scripts: Scripts, address: Address, used_queues: RedisUsedQueues) -> None:
        """Push through *scripts* on the server at *address*; *used_queues* notes where to."""
        self._scripts, self.address, self._used_queues = scripts, address, used_queues

    def admit_and_push(self, push: Push, tag: str) -> Reply[Admission]:
        """Admit a claim; if ADMITTED, put its message into its list, filled as message.lua says."""
        claim, queue, template, shown = push
        key = claim.job.key
        due = self._used_queues.due((claim.job.routing.queue,))
        args, along = (*arguments(claim), key, tag, template, shown), self._used_queues.note(due)
        reply = self._scripts.run("publish", key, *args, queue=queue, along=along)
        self._used_queues.noted(due)
        return to_admission(key, reply, pushes=True)

    def admit_and_push_many(self, pushes: Sequence[Push]) -> Iterator[Reply[Admission] | JobError]:
        """Do the same for each of *pushes*, one after the other in one round trip."""
        scripts = list(_by_script(pushes))
        due = self._used_queues.due({script[0].claim.job.routing.queue for script in scripts})
        calls, along = list(map(self._call, scripts)), self._used_queues.note(due)
        replies = self._scripts.run_as_they_come("publish_many", calls, along)
        for script, reply in zip(scripts, replies, strict=True):
            if isinstance(reply, JobError):
                yield from self._push_one_by_one(script, reply)
                continue
            for push, each in zip(script, reply, strict=True):
                yield to_admission_or_error(push.claim.job.key, each, pushes=True)
        self._used_queues.noted(due)

    def _call(self, script: list[Push]) -> Call:
        (claim, queue, template, _), *_ = script
        blank = claim.job._replace(id=JobId(""), fingerprint=Fingerprint(""), payload=b"")
        args = [*arguments(Claim(blank, claim.terms)), template, f"{token_hex(12)}-"]
        keys = [queue]
        for (job, _terms), _queue, _template, shown in script:
            keys.append(self._scripts.record_keys(job.key)[0])
            args += (job.id, job.fingerprint, job.payload, shown)
        return tuple(keys), tuple(args)

    def _push_one_by_one(self, script: list[Push], failed: JobError) -> list[Reply[Admission] | JobError]:
        """Publish the jobs of a script that *failed*; one that it admitted is pushed no more.

        Raises:
            StoreUnavailable: it failed on the queue: a list that is none is no fault of a record.
        """
        records = self._scripts.run_on_each("read", [(push.claim.job.key, ()) for push in script])
        if not any(isinstance(record, JobError) for record in records):
            cause = cast("RedisError", failed.__cause__)
            raise self._scripts.unavailable("publish", script[0].queue, cause) from cause
        return list(map(self._push_alone, script))

    def _push_alone(self, push: Push) -> Reply[Admission] | JobError:
        try:
            return self.admit_and_push(push, token_hex(16))
        except (LayoutNewer, RecordDamaged) as error:
            return error


def _by_script(pushes: Sequence[Push]) -> Iterator[list[Push]]:
    """Yield the pushes of each script: they differ in id, fingerprint, payload and what is shown of them."""
    for _, same in groupby(pushes, _shared):
        alike = list(same)
        for first in range(0, len(alike), _JOBS):
            yield alike[first : first + _JOBS]


def _shared(push: Push) -> tuple[object, ...]:
    (job, terms), queue, template, _ = push
    names = job.task, job.version, job.tenant, job.model, job.run
    return terms, queue, template, job.routing, job.tags, *names
