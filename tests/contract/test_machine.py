from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
    run_state_machine_as_test,
)

from askonce import bill
from askonce.adapters.memory import MemoryStore
from askonce.adapters.redis import RedisStore, scripts
from askonce.adapters.redis.sources import with_numbers
from askonce.answer import Meta
from askonce.controls import MARK_MODES
from askonce.lost import Resent
from askonce.record import Snapshot
from askonce.spend import Spend
from askonce.store import Admission, Cancellation, Parking, Renewal, Start, Write
from tests.contract.histories import (
    AGES,
    BOOK,
    BROUGHT,
    FAILURES,
    FINGERPRINTS,
    JOBS,
    LEASES,
    MARKS,
    OWNERS,
    PAUSES,
    TIMES,
)
from tests.contract.key_under_test import KEY, KeyUnderTest
from tests.mutants.scripts import MET_SOON

pytestmark = pytest.mark.integration

RECORD, INDEX = f"{{askonce:test:b0a}}:rec:{KEY}", "{askonce:test:b0a}:idx"

#: On an absent key most verbs have one outcome only: they are called there only after a loss.
known = precondition(lambda self: self.before.present or self.lost)


class Actors(RuleBasedStateMachine):
    """Three actors with tokens that repeat, on a real server and on the reference."""

    def __init__(self, client, clock, store):
        super().__init__()
        client.flushall()
        clock.set(clock.START)
        self.client, self.clock = client, clock
        self.scripts, self.reference = KeyUnderTest(store, clock), KeyUnderTest(MemoryStore(clock), clock)
        self.before = Snapshot()
        self.calls = 0
        self.highest_fence = 0
        self.lost = False
        #: Until when each actor holds the lease as far as it knows, by the server's clock.
        self.leases = {}
        #: When the last mark removed the answer of this key.
        self.removed_at = 0.0

    @initialize(max_attempts=st.sampled_from([1, 2, 3]))
    def first(self, max_attempts):
        self.admit("job-1", "fp-1", queue_deadline=60.0, max_attempts=max_attempts)

    @rule(
        job=JOBS,
        fingerprint=FINGERPRINTS,
        queue_deadline=TIMES,
        max_attempts=st.sampled_from([1, 2, 3]),
        on_mismatch=st.sampled_from(["replace", "conflict"]),
        force=st.sampled_from([False, False, True]),
        max_age=st.sampled_from([None, None, 0.0, 9.0]),
        brought=BROUGHT,
    )
    def admit(self, job, fingerprint, brought=None, **terms):
        job, self.lost = job or self.before.job or "job-3", False
        reply = self.both("admit", job, fingerprint, **terms, **(brought or {}))
        if reply.outcome is Admission.CONFLICT:
            assert Snapshot() == reply.record
        replaced = fingerprint != self.before.fingerprint or self.is_void(self.before)
        if reply.outcome is Admission.ADMITTED and replaced:
            self.leases.clear()
        elif self.before.flight != "idle" and self.before.deadline_in > 0 and not brought:
            after = self.now()
            joined = {"run": after.run, "deadline_in": after.deadline_in, "wait": after.wait}
            joined["due_at"] = after.due_at
            if self.before.is_cancelled:
                joined["failure"] = None
            assert self.before._replace(**joined) == after, "admit changed a job that is alive"

    @known
    @rule(job=JOBS, owner=OWNERS, fingerprint=FINGERPRINTS, lease=LEASES, age=AGES, returns=st.booleans())
    def start(self, job, owner, fingerprint, lease, age=None, *, returns=False):
        job, owner = job or self.before.job or "job-3", owner or self.before.owner or "owner-1"
        reply = self.both("start", owner, job, fingerprint, lease, age=age, returns=returns)
        if reply.outcome is not Start.GRANTED:
            return
        assert self.before.present, "started without a record"
        assert (job, fingerprint) == (self.before.job, self.before.fingerprint), "started another job"
        if (self.before.flight, self.before.owner) != ("running", owner):
            assert not self.before.is_cancelled, "another call after the last one"
            self.leases[owner] = self.clock() + lease
            assert reply.record.fence > self.before.fence

    @precondition(lambda self: self.before.flight == "queued")
    @rule(owner=OWNERS, lease=LEASES, returns=st.booleans())
    def start_what_is_queued(self, owner, lease, returns):
        self.start(None, owner, self.before.fingerprint, lease, returns=returns)

    @known
    @rule(owner=OWNERS, lease=LEASES)
    def renew(self, owner, lease):
        owner = owner or self.before.owner or "owner-1"
        outcome = self.both("renew", owner, lease)
        is_renewed = outcome in (Renewal.OK, Renewal.CANCELLED)
        self.check_write(owner, Write.OK if is_renewed else outcome)
        if is_renewed:
            assert self.before.is_cancelled == (outcome is Renewal.CANCELLED)
            self.leases[owner] = self.clock() + lease

    @known
    @rule(owner=OWNERS, reference=st.sampled_from(["resp-1", "resp-2"]))
    def checkpoint(self, owner, reference):
        owner = owner or self.before.owner or "owner-1"
        self.check_write(owner, self.both("checkpoint", owner, reference))

    @known
    @rule(owner=OWNERS, soft=TIMES, more=st.sampled_from([0.0, 600.0]))
    def complete(self, owner, soft, more):
        owner = owner or self.before.owner or "owner-1"
        self.calls += 1
        data, meta = b"j%d" % self.calls, Meta(attempts=self.calls).encode()
        outcome = self.both("complete", owner, data, soft, soft + more, meta=meta, book=BOOK)
        self.check_write(owner, outcome)
        if self.is_void(self.before):
            assert outcome is Write.FENCED, "an answer was kept whose run began before a mark"
        if outcome is Write.OK or owner == self.before.owner:
            self.leases.pop(owner, None)

    @rule(fingerprint=FINGERPRINTS, soft=TIMES, tags=st.sampled_from([(), ("red",)]))
    def put(self, fingerprint, soft, tags):
        self.calls += 1
        data = b"j%d" % self.calls
        if self.both("put", data, soft, soft + 600.0, fingerprint=fingerprint, tags=tags):
            self.leases.clear()
            assert self.before.fence < self.now().value.fence
        else:
            assert self.before == self.now()

    @known
    @rule(owner=OWNERS, failure=FAILURES)
    def fail(self, owner, failure):
        owner = owner or self.before.owner or "owner-1"
        running = self.before.flight == "running"
        spent = bill.encode(self.before.job, self.before.attempts, Spend(cost_usd=0.25))
        reply = self.both("fail", owner, **failure, book=BOOK, spent=spent)
        if owner != self.before.owner or not running:
            assert self.before == self.now(), "a failure was recorded for another owner's run"
        elif reply.outcome is Write.OK:
            self.leases.pop(owner, None)

    @precondition(lambda self: self.before.flight == "running")
    @rule(reference=st.sampled_from(["resp-1", "resp-2"]))
    def fail_for_now_with_a_reference(self, reference):
        self.checkpoint(None, reference)
        self.fail(None, {"kind": "transient", "reason": "http_503", "after": 0.0, "keep": 120.0})

    @known
    @rule(
        owner=OWNERS,
        after=st.sampled_from([0.0, 9.0]),
        within=st.sampled_from([0.0, 30.0, 600.0]),
        paid=st.booleans(),
    )
    def park(self, owner, after, within, *, paid):
        owner = owner or self.before.owner or "owner-1"
        attempts = self.before.attempts
        spent = bill.encode(self.before.job, attempts - 1, Spend(cost_usd=0.25)) if paid else b""
        outcome = self.both("park", owner, after=after, within=within, spent=spent)
        if outcome in (Parking.PARKED, Parking.CANCELLED):
            self.leases.pop(owner, None)
            assert self.now().attempts <= attempts
        else:
            assert self.before == self.now()

    @known
    @rule(run=st.sampled_from([None, "", "night"]))
    def cancel(self, run):
        outcome = self.both("cancel", run)
        if self.before.flight == "running":
            after = self.now()
            assert self.before._replace(failure=after.failure) == after, "a call under way was touched"
            assert after.is_cancelled or outcome is Cancellation.SHARED

    @rule(pause=PAUSES)
    def pause(self, pause):
        for scene in (self.scripts, self.reference):
            scene.store.controls.pause(pause, "a note")

    @precondition(lambda self: self.reference.store.controls.pauses())
    @rule()
    def resume(self):
        for scene in (self.scripts, self.reference):
            for pause in scene.store.controls.pauses():
                assert scene.store.controls.resume(pause)

    @precondition(lambda self: self.before.value is not None or self.before.flight == "running")
    @rule(mark=MARKS, mode=st.sampled_from(MARK_MODES))
    def mark(self, mark, mode):
        for scene in (self.scripts, self.reference):
            scene.store.controls.mark(mark._replace(mode=mode))
        names = {"task": "orders", "version": "orders", "tenant": self.before.tenant, "all": ""}
        if mode == "remove" and mark.name in (names.get(mark.scope), *self.before.tags):
            self.removed_at = self.clock()

    @rule(
        queue=st.sampled_from(["", "slow"]),
        priority=st.sampled_from(["*", 0, 3]),
        seconds=st.sampled_from([0.0, 9.0, -9.0]),
    )
    def deliver(self, queue, priority, seconds):
        self.both("deliver", queue, priority, seconds)

    @precondition(lambda self: self.before.flight == "queued")
    @rule(other=st.sampled_from([False, False, True]))
    def deliver_what_was_sent_after_the_message(self, other):
        seen = self.now()
        routing = seen.routing  # the record may be gone then
        self.clock.advance(max(9.0, seen.deadline_in))
        self.both("deliver", routing.queue, (routing.priority or 0) + other)

    @precondition(lambda self: self.before.flight == "queued")
    @rule(late=st.booleans())
    def resent(self, late):
        self.before = self.now()
        sent = [Resent(KEY, self.before.job, self.before.now - 125 * late)]
        assert self.reference.store.resent(sent) == self.scripts.store.resent(sent)

    @precondition(lambda self: self.before.present and self.calls % 3 == 2)
    @rule(expire=st.booleans())
    def invalidate(self, expire):
        self.both("invalidate", expire=expire)
        if not expire:
            self.leases.clear()

    @rule(jobs=st.sampled_from([0, 1, 10]))
    def reap(self, jobs):
        lost = self.both("reap", jobs, delivered=[])
        if self.before.flight == "idle" or self.before.deadline_in > 0:
            assert [] == lost
            assert self.before == (after := self.now()) or self.has_expired(after)
        assert all(each.job.id == self.before.job for each in lost)

    @rule(seconds=st.sampled_from([0.125] * 3 + [9.0] * 3 + [30.0, 60.0, 3600.0, 604_800.0]))
    def advance(self, seconds):
        self.clock.advance(seconds)

    @precondition(lambda self: self.before.flight != "idle" and self.before.deadline_in > 0)
    @rule(short_of=st.sampled_from([0.0, 0.0, 0.125]))
    def advance_to_the_deadline(self, short_of):
        self.clock.advance(self.now().deadline_in - short_of)

    @precondition(lambda self: self.before.flight == "running")
    @rule()
    def lose_the_worker(self):
        self.clock.advance(max(0.0, self.now().deadline_in))
        self.both("reap", 10, delivered=[])

    @precondition(lambda self: self.before.present and self.calls % 5 == 4)
    @rule()
    def lose_the_record(self):
        self.client.delete(RECORD)
        self.lost = True
        self.reference.store._records.clear()
        self.leases.clear()
        # Not the answer that was lost: the next run's fence need not be higher.
        self.before, self.highest_fence = self.now(), 0

    @invariant()
    def both_show_the_same_record(self):
        self.before = self.now()
        assert self.reference.read() == self.before

    @invariant()
    def both_list_the_same_quarantine(self):
        shown = self.scripts.show(payload=True)
        assert self.reference.show(payload=True) == shown
        assert self.reference.store.letters.dead_jobs() == self.scripts.store.letters.dead_jobs()
        failure = self.now().failure
        assert bool(shown) == bool(failure and failure.kind == "quarantined")

    @invariant()
    def one_owner_at_most_holds_a_live_lease(self):
        alive = [owner for owner, until in self.leases.items() if self.clock() < until]
        assert len(alive) <= 1, alive

    @invariant()
    def answers_never_grow_older(self):
        value = self.before.value
        if value is not None:
            assert value.fence >= self.highest_fence
            self.highest_fence = value.fence

    @invariant()
    def fingerprint_is_there_in_every_state(self):
        known = self.before.flight != "idle" or self.before.value or self.before.failure
        assert bool(known) <= bool(self.before.fingerprint)

    @invariant()
    def reaper_finds_what_is_in_flight(self):
        indexed = self.client.zscore(INDEX, KEY) is not None
        assert indexed or self.before.flight == "idle"

    @invariant()
    def both_counted_the_same(self):
        counted = {name: amount for name, amount in self.scripts.store.tally.totals().items() if amount}
        known = {name: amount for name, amount in self.reference.store.tally.totals().items() if amount}
        assert known == counted

    def is_void(self, record):
        """Whether the answer of the run under way is as good as none."""
        return record.flight == "running" and record.fence <= self.removed_at * 1_000_000

    def now(self):
        return self.scripts.read()

    def has_expired(self, after):
        """Whether the job's own expiry came, which may be before it is due."""
        return self.before.flight == "queued" and after.failure and after.failure.kind == "expired"

    def both(self, verb, *args, **options):
        self.before = self.now()
        reply = getattr(self.scripts, verb)(*args, **options)
        assert getattr(self.reference, verb)(*args, **options) == reply
        return reply

    def check_write(self, owner, outcome):
        if owner != self.before.owner:
            assert outcome is not Write.OK, "a write by another owner was accepted"
            assert self.before == self.now()


def act(client, clock, **options):
    chosen = settings(deadline=None, stateful_step_count=40, database=None, print_blob=False, **options)
    with closing(RedisStore(client, namespace="test", clock=clock.lua)) as store:
        run_state_machine_as_test(lambda: Actors(client, clock, store), settings=chosen)


@pytest.mark.long
@pytest.mark.hypothesis
@pytest.mark.timeout(400)  # a disagreement is made small before it is shown
def test_scripts_and_reference_agree_on_every_history(client, server_clock):
    act(client, server_clock)


@pytest.mark.long
@pytest.mark.timeout(400)
@pytest.mark.parametrize("mutant", MET_SOON, ids=lambda mutant: mutant.name)
def test_broken_script_is_noticed(client, server_clock, monkeypatch, mutant):
    sound = scripts.sources(server_clock.lua)
    before, after = with_numbers(mutant.sound), with_numbers(mutant.broken)
    broken = {verb: text.replace(before, after) for verb, text in sound.items()}
    file = Path(mutant.file).stem
    shared = file not in sound
    sources = broken if shared else sound | {file: broken[file]}
    assert sources != sound
    monkeypatch.setattr(scripts, "sources", lambda clock: sources)

    with pytest.raises(AssertionError):
        act(client, server_clock, max_examples=2400, derandomize=True, phases=[Phase.generate])
