import random
from collections import Counter

import pytest

from askonce.adapters.memory import MemoryStore, admit, reap
from askonce.controls import Pause
from askonce.lost import ANY_PRIORITY, Resent
from askonce.record import PROGRESS_SLACK, TOMBSTONE_KEPT
from tests.contract.key_under_test import KEY, KeyUnderTest
from tests.model import verbs
from tests.model.verbs import Answer, Failure, Limits, Record

# The model against the code: random walks through its verbs and its time, each step also made on a real
# store. So the proofs of `test_model` hold for the rules that are built.

WALKS, STEPS = 600, 60
#: Fewer than usual, so that walks come to the end of them.
RESENDS = 1
JOBS = OWNERS = range(1, 4)
ANY = "", ANY_PRIORITY
KINDS = ("transient", "transient", "permanent", "configuration", "fallback")


@pytest.fixture(autouse=True)
def few_resends(monkeypatch):
    for module in (admit, reap):
        monkeypatch.setattr(module, "MAX_RESENDS", RESENDS)


class Twins:
    """One key in the model and in a real store; the real clock moves to where a time passes."""

    def __init__(self, clock, seed):
        self.random, self.clock, self.seen = random.Random(seed), clock, Counter()
        self.store, self.steps = MemoryStore(clock), []
        self.key = KeyUnderTest(self.store, clock)
        self.limits = Limits(attempts=self.random.choice([1, 2, 3]), resends=RESENDS)
        self.record, self.moment, self.paused = None, 0, False
        #: The real fences, in order: the model counts them.
        self.fences = {0: 0}

    def walk(self):
        moves = [self.admit, self.start, self.start, self.renew, self.checkpoint, self.complete, self.fail]
        moves += [self.park, self.cancel, self.reap, self.reap, self.resent, self.deliver]
        moves += [self.pass_time] * 4
        for _ in range(STEPS):
            rare = self.random.random() < 0.04
            usual = moves if self.record or self.random.random() < 0.3 else [self.admit]
            self.random.choice([self.invalidate, self.lose, self.pause, self.pause] if rare else usual)()
            assert self.record == self.real(), self
            assert verbs.read(self.record) == self.read(), self
            assert bool(self.record and self.record.lost) == self.key.read().lost, self

    def __repr__(self):
        return "\n".join(["these steps:", *self.steps])

    def both(self, verb, expected, outcome, *args):
        """Compare the model's answer with the store's, and go on from what the model left."""
        self.steps.append(f"{verb}{args}: {outcome}")
        assert expected[0] == outcome, self
        self.seen[verb, outcome if verb != "reap" else bool(outcome)] += 1
        self.record = expected[1]

    def job(self):
        return self.random.choice([*JOBS, *[self.record.job or 1] * 4]) if self.record else 1

    def owner(self):
        return self.random.choice([*OWNERS, *[self.record.owner or 1] * 4]) if self.record else 1

    def admit(self):
        job, force = self.random.choice([*JOBS, self.job()]), self.random.random() < 0.2
        delay = self.random.random() < 0.2
        how = {"force": force, "delay": delay, "paused": self.paused}
        expected = verbs.admit(self.record, self.limits, job, **how)
        terms = {"max_attempts": self.limits.attempts, "force": force, "countdown": 9.0 * delay}
        reply = self.key.admit(f"job-{job}", **terms)
        self.both("admit", expected, reply.outcome.value, job, how)

    def start(self):
        job, owner = self.job(), self.owner()
        # So that the fence of the next lease is later, as it is where time goes on.
        self.go_on(0.001)
        self.moment += 1
        late = self.random.random() < 0.5
        how = {"late": late, "paused": self.paused}
        expected = verbs.start(self.record, self.limits, job, owner, self.moment, **how)
        if expected[0] == "granted" and self.record.flight == "idle":
            self.seen["start", "granted after all"] += 1
        admitted_at = round((self.store._records.now() - TOMBSTONE_KEPT) * 1000) + (not late)
        message = self.key.job(f"job-{job}", admitted_at=admitted_at)
        reply = self.store.start(message, self.key.lease(f"owner-{owner}"))
        self.both("start", expected, reply.outcome.value, job, owner, how)

    def renew(self):
        owner = self.owner()
        outcome = self.key.renew(f"owner-{owner}")
        self.both("renew", verbs.renew(self.record, owner), outcome.value, owner)

    def checkpoint(self):
        owner = self.owner()
        outcome = self.key.checkpoint(f"owner-{owner}")
        self.both("checkpoint", verbs.checkpoint(self.record, owner), outcome.value, owner)

    def complete(self):
        owner, soft = self.owner(), self.random.choice([5.0, 45.0, 600.0])
        outcome = self.key.complete(f"owner-{owner}", soft=soft, hard=soft + 100.0)
        self.both("complete", verbs.complete(self.record, owner), outcome.value, owner)

    def fail(self):
        owner, kind = self.owner(), self.random.choice(KINDS)
        rests, quarantine = self.random.random() < 0.5, self.random.random() < 0.7
        keep, after = self.random.choice([5.0, 120.0]), 9.0 if rests else 0.0
        terms = {"after": after, "keep": keep, "quarantine": quarantine}
        expected = verbs.fail(self.record, self.limits, owner, kind, rests=rests, quarantine=quarantine)
        outcome = self.key.fail(f"owner-{owner}", kind, **terms).outcome.value
        self.both("fail", expected, outcome, owner, kind, rests, quarantine)

    def park(self):
        owner = self.owner()
        rests, spent = self.random.random() < 0.5, self.random.random() < 0.2
        expected = verbs.park(self.record, owner, rests=rests, spent=spent)
        within = -1.0 if spent else 1e9
        outcome = self.key.park(f"owner-{owner}", after=9.0 if rests else 0.0, within=within)
        self.both("park", expected, outcome.value, owner, rests, spent)

    def cancel(self):
        self.both("cancel", verbs.cancel(self.record), self.key.cancel().value)

    def invalidate(self):
        self.both("invalidate", verbs.invalidate(self.record), self.key.invalidate().value)

    def reap(self):
        # The model has no rest between two looks at a job that waits in its queue.
        for record in self.key.store._records.by_key.values():
            record.looked_again = None
        lost = self.key.reap(delivered=[])
        expected = verbs.reap(self.record, self.limits, paused=self.paused)
        self.both("reap", expected, number(lost[0].job.id) if lost else 0)
        if lost and self.random.random() < 0.7:
            self.resent(number(lost[0].job.id))
        elif self.record and self.record.failure and self.record.failure.reason == "undeliverable":
            self.start()

    def resent(self, job=0):
        job, again = job or self.job(), self.random.random() < 0.3
        self.go_on(0.001)
        expected = verbs.resent(self.record, job, again=again)
        real = self.store._records.load(KEY)
        sent_at = real.sent_at if again and real and real.sent_at else self.store._records.now()
        [outcome] = self.store.resent([Resent(KEY, f"job-{job}", round(sent_at * 1000))])
        self.both("resent", expected, outcome.value, job, again)

    def deliver(self):
        """Report all that was sent before now, which is later by more than the slack."""
        self.go_on(PROGRESS_SLACK + 0.001)
        self.steps.append("the queue reports")
        self.key.deliver()
        self.record = verbs.deliver(self.record)

    def pause(self):
        self.paused = not self.paused
        self.steps.append(f"paused: {self.paused}")
        if self.paused:
            self.store.controls.pause(Pause("all"), "a note")
        else:
            self.store.controls.resume(Pause("all"))

    def lose(self):
        self.steps.append("the record is lost")
        self.store._records.clear()
        self.record = None

    def pass_time(self):
        """Let one of the times pass that the model says may pass next, and with it all that are earlier."""
        passing = [what for what, _ in verbs.passing(self.record)]
        if passing:
            self.go_on(self.until(self.random.choice(passing)) - self.store._records.now())

    def go_on(self, seconds):
        """Move the clock; each time that passes is a step of the model, the earliest first."""
        times = []
        while (until := self.earliest()) is not None and until[0] <= self.store._records.now() + seconds:
            times.append(until[1])
            self.record = dict(verbs.passing(self.record))[until[1]]
        self.clock.advance(seconds)
        self.steps.append(f"{float(seconds)} s pass: {times}")

    def earliest(self):
        return min(((self.until(what), what) for what, _ in verbs.passing(self.record)), default=None)

    def until(self, what):
        """Return when a time ends, by the real record."""
        record = self.store._records.by_key[KEY]
        match what:
            case "rest":
                return record.not_before
            case "deadline":
                return record.deadline
            case "hand-out":
                return record.handed_out_until
            case "freshness":
                return record.value.fresh_until
            case "answer":
                return record.value.kept_until
            case "failure":
                return record.failed.until
        return record.kept_until

    def read(self):
        return "ok", self.real() if self.key.read().present else None

    def real(self):
        """Return the real record as the model has it."""
        r, now = self.store._records.load(KEY), self.store._records.now()
        if r is None:
            return None
        answer, failed = r.value_at(now), r.failed
        out = r.flight == "queued" and r.sent_at is not None
        return Record(
            flight=r.flight,
            job=number(r.job),
            owner=number(r.owner),
            fence=self.fence(r.fence),
            over=r.flight != "idle" and r.deadline <= now,
            out=out,
            delivered=out and self.is_past(r.sent_at),
            handed=now < r.handed_out_until,
            offered=r.handed_out_until > 0,
            attempts=r.attempts,
            resent=r.resent,
            resender=number(r.resender),
            resting=now < r.not_before,
            parked=("worker" if r.parked.times else "pause") if r.parked else "",
            reference=bool(r.checkpoint),
            answer=Answer(self.fence(answer.fence), r.fresh(now)) if answer else None,
            failure=failed
            and Failure(
                failed.kind, failed.reason, number(failed.job), number(failed.owner), now < failed.until
            ),
            tombstone=r.flight == "idle" and r.kept_until > (r.value.kept_until if r.value else 0.0),
        )

    def is_past(self, sent_at):
        """Return whether the queue has delivered what was sent after *sent_at*."""
        return round(self.store._records.delivered.get(ANY, 0.0) - sent_at, 3) > PROGRESS_SLACK

    def fence(self, real):
        """Return the model's number of a real fence: it rises with it."""
        if real not in self.fences:
            assert real > max(self.fences), "the fence fell"
            self.fences[real] = self.moment
        return self.fences[real]


def number(token):
    return int(token.rpartition("-")[2]) if token else 0


def walk_all(clock):
    """Return how often each outcome was seen."""
    seen = Counter()
    for seed in range(WALKS):
        twins = Twins(clock, seed)
        twins.walk()
        seen += twins.seen
    return seen


OUTCOMES = [
    *(("admit", each) for each in ("admitted", "resend", "attached", "hit", "negative", "backoff")),
    ("start", "granted after all"),
    *(("start", each) for each in ("granted", "done", "busy", "backoff", "paused", "superseded")),
    *(("start", each) for each in ("negative", "unrun", "absent", "ended")),
    *(
        (verb, each)
        for verb in ("renew", "checkpoint", "complete", "fail", "resent")
        for each in ("ok", "fenced", "absent")
    ),
    ("renew", "cancelled"),
    *(("park", each) for each in ("parked", "spent", "cancelled", "fenced", "absent")),
    *(("cancel", each) for each in ("cancelled", "running", "idle", "absent")),
    *(("invalidate", each) for each in ("ok", "absent")),
    *(("reap", each) for each in (True, False)),
]


@pytest.mark.long
def test_model_and_store_agree_on_every_walk(clock):
    seen = walk_all(clock)

    # Else the walks would prove less than they promise.
    assert set(OUTCOMES) == seen.keys()
    assert min(seen.values()) >= 10, seen


def _forgets_its_answer(record, owner, complete=verbs.complete):
    return ("fenced", record) if record and record.flight == "idle" else complete(record, owner)


def _fences_the_owner(r):
    return r._replace(flight="queued", out=False, resting=False, handed=True, owner=0)


@pytest.mark.parametrize(
    ("rule", "wrong"),
    [
        ("complete", _forgets_its_answer),
        ("_hand_out", _fences_the_owner),
        ("reap", lambda record, _limits, **_known: (0, record)),
    ],
)
def test_wrong_model_is_noticed(clock, monkeypatch, rule, wrong):
    monkeypatch.setattr(verbs, rule, wrong)

    with pytest.raises(AssertionError, match="these steps"):
        walk_all(clock)
