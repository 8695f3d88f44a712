"""Writes down what each verb was asked and answered, each process into a file of its own.

A line is written before the verb and one after it, unbuffered: of a killed process everything is known but
the reply that it did not live to hear.
"""

import json
import os
import threading
from itertools import count
from pathlib import Path
from secrets import token_hex
from time import monotonic

from askonce.adapters.redis.link import ServerLink
from askonce.errors import JobError
from tests.chaos.history import Op

_sent = threading.local()


def count_attempts():
    """Notice that a link sends the same verb twice: it may then take effect twice."""
    once = ServerLink.exchange_once

    def exchange_once(self, *commands):
        _sent.times = getattr(_sent, "times", 0) + 1
        return once(self, *commands)

    ServerLink.exchange_once = exchange_once


class Journal:
    """The lines of one process, which never cross a fork; safe for threads."""

    def __init__(self, folder):
        self._name = f"{os.getpid()}-{token_hex(2)}"
        self._ids = count()
        self._file = os.open(Path(folder) / f"{self._name}.jsonl", os.O_WRONLY | os.O_CREAT | os.O_APPEND)

    def write(self, **line):
        os.write(self._file, json.dumps({"t": monotonic(), **line}).encode() + b"\n")

    def invoke(self, verb, key, **args):
        name = f"{self._name}-{next(self._ids)}"
        self.write(e="invoke", id=name, verb=verb, key=key, args=args)
        return name


class RecordingStore:
    """Another store, whose verbs are written down."""

    def __init__(self, store, journal):
        self._store, self._journal = store, journal

    def __getattr__(self, name):
        return getattr(self._store, name)

    def read(self, keys):
        return self._record([("read", key, {}) for key in keys], lambda: self._store.read(keys))

    def admit(self, claim):
        return self._one("admit", claim.job.key, lambda: self._store.admit(claim), **_asked(claim))

    @property
    def pusher(self):
        pusher = self._store.pusher
        return pusher and RecordingPusher(self, pusher)

    def start(self, job, lease, *kept, **how):
        args = {"job": job.id, "owner": lease.owner, "fp": job.fingerprint, "lease": lease.seconds}
        return self._one(
            "start", job.key, lambda: self._store.start(job, lease, *kept, **how), **args, **_whose(job)
        )

    def renew(self, leases):
        calls = [("renew", key, {"owner": owner, "lease": seconds}) for key, owner, seconds in leases]
        return self._record(calls, lambda: self._store.renew(leases))

    def complete(self, lease, answer, ttl, book=None, **kept):
        args, run = {"owner": lease.owner, "soft": ttl.fresh}, self._store.complete
        return self._one("complete", lease.key, lambda: run(lease, answer, ttl, book, **kept), **args)

    def fail(self, lease, failure):
        args = {"kind": failure.kind, "after": failure.after, "quarantine": failure.quarantine}
        run = self._store.fail
        return self._one("fail", lease.key, lambda: run(lease, failure), owner=lease.owner, **args)

    def park(self, lease, reason, after, within, *spent):
        args, run = {"owner": lease.owner, "after": after}, self._store.park
        return self._one("park", lease.key, lambda: run(lease, reason, after, within, *spent), **args)

    def cancel(self, key):
        return self._one("cancel", key, lambda: self._store.cancel(key))

    def resent(self, sent):
        calls = [("resent", each.key, {"job": each.job, "sent_at": each.sent_at}) for each in sent]
        return self._record(calls, lambda: self._store.resent(sent))

    def invalidate(self, key):
        return self._one("invalidate", key, lambda: self._store.invalidate(key))

    def _one(self, verb, key, run, **args):
        return self._record([(verb, key, args)], lambda: [run()])[0]

    def _record(self, calls, run):
        names = [self._journal.invoke(verb, key, **args) for verb, key, args in calls]
        _sent.times = 0
        try:
            replies = run()
        except JobError as error:
            for name in names:
                self._journal.write(e="info", id=name, sent=_sent.times, error=type(error).__name__)
            raise
        for name, reply in zip(names, replies, strict=True):
            outcome, seen = told(reply)
            self._journal.write(e="ok", id=name, sent=_sent.times, outcome=outcome, seen=seen)
        return replies


class RecordingPusher:
    """Another store's pusher, whose admissions are written down."""

    def __init__(self, recording, pusher):
        self._recording, self._pusher, self.address = recording, pusher, pusher.address

    def admit_and_push(self, push, tag):
        run, claim = self._pusher.admit_and_push, push.claim
        args = _asked(claim) | {"pushed": True}
        return self._recording._one("admit", claim.job.key, lambda: run(push, tag), **args)


def _asked(claim):
    job, terms = claim
    return {
        "job": job.id,
        "fp": job.fingerprint,
        "force": terms.force,
        "pushed": False,
        "max_attempts": terms.max_attempts,
        "queue_deadline": terms.queue_deadline,
        "expires": terms.expires,
        "countdown": terms.countdown,
        "priority": job.routing.priority if any(word[:-1] == "priority" for word in terms.chosen) else None,
    }


def _whose(job):
    """What a pause may name."""
    return {"task": job.task, "tenant": job.tenant}


def told(reply):
    """The outcome, and the record where it was shown."""
    if hasattr(reply, "outcome"):
        return reply.outcome.value, _seen(reply.record) if reply.record.present else None
    if hasattr(reply, "flight"):
        return "ok", _seen(reply)
    return reply.value, None


def _seen(record):
    return {
        "present": record.present,
        "flight": record.flight,
        "job": record.job,
        "owner": record.owner,
        "fp": record.fingerprint,
        "fence": record.fence,
        "attempts": record.attempts,
        "value": record.value.fence if record.value else 0,
        "failure": record.failure.kind if record.failure else "",
        "failed_job": record.failure.job if record.failure else "",
    }


def load(folder):
    """Return each key's verbs in the order of their invocation."""
    by_key = {}
    for path in sorted(Path(folder).glob("*.jsonl")):
        for key, ops in _load_one(path).items():
            by_key.setdefault(key, []).extend(ops)
    return {key: sorted(ops, key=lambda op: op.invoked) for key, ops in by_key.items()}


def _load_one(path):
    ends, invoked = {}, []
    for text in path.read_text().splitlines():
        # The last line of a killed process may be cut short.
        if text.endswith("}"):
            line = json.loads(text)
            if line["e"] == "invoke":
                invoked.append(line)
            elif "id" in line:
                ends[line["id"]] = line
    by_key = {}
    for line in invoked:
        by_key.setdefault(line["key"], []).extend(_to_ops(line, ends.get(line["id"])))
    return by_key


def _to_ops(line, end):
    op = Op(line["id"], line["verb"], line["args"], line["t"])
    unheard = [op._replace(id=f"{op.id}.{n}") for n in (1, 2)]
    if end is None or end["e"] == "info":
        return [] if op.verb == "read" else unheard
    known = op._replace(returned=end["t"], outcome=end["outcome"], seen=end["seen"])
    return [known] if op.verb == "read" or end["sent"] < 2 else [known, unheard[0]]
