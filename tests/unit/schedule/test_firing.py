"""What a scheduler fires, by the store's clock alone: several of them on one store in memory."""

import json
from dataclasses import dataclass, field, replace

import pytest

from askonce.adapters.memory import MemoryStore
from askonce.answer import Codec, Encoded, Meta, Ttl
from askonce.enqueue import Producer
from askonce.errors import SendFailed, StoreUnavailable
from askonce.events import EventType
from askonce.job import NO_CHOICE
from askonce.schedule import Cron, Entry, Every, Policy, StoredFile
from askonce.schedule.firing import CLOCK_OFF, LATE, LONGEST_TICK, Firing, by_hand, due
from askonce.schedule.site import SLOT
from askonce.schedules import Due, Missed, Slot
from askonce.store import Failing, Lease

MINUTE = 60_000
QUERY = StoredFile(task="orders", path=None)


def entry(name="night", at=None, **policy):
    return Entry(name=name, at=at or Every(60), query=QUERY, policy=Policy(**policy))


@dataclass
class Machine:
    """Schedulers of one schedule, each with its host's clock, and the workers' end of a queue."""

    clock: object
    entries: list
    sent: list = field(default_factory=list)
    heard: list = field(default_factory=list)
    fails: bool = False

    def __post_init__(self):
        self.store = MemoryStore(self.clock)
        self.producer = Producer(store=self.store, sender=self, listen=self.heard.append)

    more_urgent = "<"

    def route(self, job, payload, options=None):
        return NO_CHOICE

    def send(self, message, delivery=None):
        if self.fails:
            raise SendFailed(key=message.job.key, job=message.job.id)
        self.sent.append(message.job)

    def scheduler(self, *, off=0.0, store=None, enqueue=None):
        return Firing(
            entries={each.name: each for each in self.entries},
            store=store or self.store,
            spec=SLOT,
            enqueue=enqueue or (lambda payload: self.producer.enqueue(SLOT, payload)),
            listen=self.heard.append,
            clock=lambda: float(self.clock()) + off,
        )

    def end(self, job, failure=None):
        """Run a slot's job as a worker that dies before it ends the slot."""
        lease = Lease(job.key, "worker", 30.0)
        self.store.start(job, lease)
        if failure:
            self.store.fail(lease, Failing(kind=failure, reason="refused"))
        else:
            answer = Encoded(Codec().encode({"asked": 3}, 100), Meta().encode())
            self.store.complete(lease, answer, Ttl(SLOT.soft_ttl, SLOT.hard_ttl))

    def slots(self):
        return [json.loads(job.payload)["slot"][11:19] for job in self.sent]

    def said(self, kind):
        return [dict(event.data) for event in self.heard if event.type is kind]

    def history(self, name="night"):
        return [line.what for line in reversed(self.store.schedules.history(name))]


@pytest.fixture
def machine(clock):
    def make(*entries):
        clock.set(clock.START // 86_400_000_000 * 86_400_000_000)
        return Machine(clock, list(entries) or [entry()])

    return make


def test_slot_fires_once_for_all_schedulers(machine, clock):
    machine = machine()
    schedulers = [machine.scheduler() for _ in range(3)]
    rests = [scheduler.tick() for scheduler in schedulers]
    clock.advance(60)
    for scheduler in schedulers:
        scheduler.tick()

    assert [LONGEST_TICK] * 3 == rests
    assert ["00:01:00"] == machine.slots()
    assert [{"entry": "night", "slot": "2100-01-01T00:01:00Z"}] == machine.said(EventType.SCHEDULE_SENT)


@pytest.mark.parametrize(("left", "rest"), [(58, LONGEST_TICK), (4.5, 4.5), (0.001, 0.001)])
def test_tick_rests_until_the_next_slot(machine, clock, left, rest):
    scheduler = machine().scheduler()
    scheduler.tick()
    clock.advance(60 - left)

    assert rest == scheduler.tick()


def test_clock_of_a_host_decides_nothing_and_is_said_once(machine, clock):
    machine = machine()
    scheduler = machine.scheduler(off=7200)
    for _ in range(3):
        scheduler.tick()
        clock.advance(30)

    assert ["00:01:00"] == machine.slots()
    assert [{"seconds": 7200.0}] == machine.said(EventType.SCHEDULE_CLOCK_OFF)


def test_clock_that_is_set_right_is_said_too(machine):
    machine, off = machine(), [CLOCK_OFF + 1]
    scheduler = machine.scheduler()
    scheduler.clock = lambda: float(machine.clock()) + off[0]
    for off[0] in (CLOCK_OFF, CLOCK_OFF + 1, 1, -1):
        scheduler.tick()

    assert [6.0, -1.0] == [each["seconds"] for each in machine.said(EventType.SCHEDULE_CLOCK_OFF)]


def test_slot_of_a_scheduler_that_died_is_enqueued_by_another(machine, clock):
    machine = machine()

    def die(payload):
        raise KeyboardInterrupt

    dying, other = machine.scheduler(enqueue=die), machine.scheduler()
    other.tick()
    clock.advance(60)
    with pytest.raises(KeyboardInterrupt):
        dying.tick()
    before = machine.slots()
    other.tick()
    other.tick()

    assert ([], ["00:01:00"]) == (before, machine.slots())


def test_slot_whose_message_was_not_accepted_is_left_to_the_reaper(machine, clock):
    machine = machine()
    scheduler = machine.scheduler()
    scheduler.tick()
    clock.advance(60)
    machine.fails = True
    scheduler.tick()
    machine.fails = False
    scheduler.tick()

    assert [] == machine.sent
    assert 1 == len(machine.said(EventType.JOB_ADMITTED))


@pytest.mark.parametrize(
    ("failure", "what", "facts"),
    [
        (None, "done", {"asked": 3}),
        ("permanent", "failed", {"reason": "refused"}),
        ("configuration", "failed", {"reason": "refused"}),
    ],
)
def test_slot_whose_worker_died_at_its_end_is_ended_by_a_scheduler(machine, clock, failure, what, facts):
    machine = machine()
    scheduler = machine.scheduler()
    scheduler.tick()
    clock.advance(60)
    scheduler.tick()
    machine.end(machine.sent[0], failure)
    scheduler.tick()
    scheduler.tick()

    line = machine.store.schedules.history("night")[0]
    assert (what, facts) == (line.what, line.facts)
    assert ["sent", what] == machine.history()
    assert 1 == len(machine.sent)
    assert [what] == [each["outcome"] for each in machine.said(EventType.SCHEDULE_ENDED)]


def test_slot_whose_failure_is_forgotten_is_not_run_again(machine, clock):
    machine = machine(entry(at=Every(604_800)))
    scheduler = machine.scheduler()
    scheduler.tick()
    clock.advance(604_800)
    scheduler.tick()
    machine.end(machine.sent[0], "configuration")
    clock.advance(600)
    scheduler.tick()

    assert (["sent", "failed"], 1) == (machine.history(), len(machine.sent))


def test_slot_that_is_older_than_any_answer_is_not_run_again(machine, clock):
    machine = machine(entry(at=Every(3_000_000)))
    scheduler = machine.scheduler(enqueue=lambda payload: None)
    scheduler.tick()
    clock.advance(3_000_000)
    scheduler.tick()
    clock.advance(SLOT.hard_ttl + 1)
    machine.scheduler().tick()

    assert (["sent", "failed"], []) == (machine.history(), machine.sent)


def test_slot_that_fails_pauses_its_entry_where_its_policy_says_so(machine, clock):
    machine = machine(entry(pause_on_failure=True), entry("day"))
    scheduler = machine.scheduler()
    scheduler.tick()
    clock.advance(60)
    scheduler.tick()
    for job in machine.sent[:]:
        machine.end(job, "permanent")
    scheduler.tick()
    clock.advance(60)
    scheduler.tick()

    states = machine.store.schedules.look(["night", "day"]).states
    note = "2100-01-01T00:01:00Z failed: refused"
    assert (note, None) == (states["night"].paused, states["day"].paused)
    assert ["sent", "failed", "paused"] == machine.history()
    assert ["sent", "failed", "sent"] == machine.history("day")
    assert [{"entry": "night", "note": note}] == machine.said(EventType.SCHEDULE_PAUSED)


def test_backlog_without_workers_is_one_message_of_each_entry(machine, clock):
    machine = machine(entry(), entry("two", overlap="queue_one"))
    scheduler = machine.scheduler()
    for _ in range(10):
        scheduler.tick()
        clock.advance(60)

    assert ["00:01:00", "00:01:00"] == machine.slots()
    assert ["sent", *["skipped"] * 8] == machine.history()
    assert ["sent", "waits", *["skipped"] * 7] == machine.history("two")
    assert {"skip"} == {each["reason"] for each in machine.said(EventType.SCHEDULE_SKIPPED)}


def test_slot_that_waited_is_enqueued_when_the_one_before_has_ended(machine, clock):
    machine = machine(entry(overlap="queue_one"))
    scheduler = machine.scheduler()
    for _ in range(3):
        scheduler.tick()
        clock.advance(60)
    machine.end(machine.sent[0])
    clock.advance(-30)
    scheduler.tick()

    assert ["00:01:00", "00:02:00"] == machine.slots()


@pytest.mark.parametrize(
    ("policy", "fired", "missed"),
    [
        ("once", ["03:00:00"], [{"slot": "2100-01-01T01:00:00Z", "until": "2100-01-01T02:00:00Z"}]),
        ("all", ["01:00:00", "02:00:00", "03:00:00"], []),
        ("never", [], [{"slot": "2100-01-01T01:00:00Z", "until": "2100-01-01T03:00:00Z"}]),
    ],
)
def test_hours_without_a_scheduler_are_caught_up_with_as_the_policy_says(
    machine, clock, policy, fired, missed
):
    machine = machine(entry(at=Cron("0 * * * *"), catch_up=policy))
    machine.scheduler().tick()
    clock.advance(3 * 3600 + 600)
    scheduler = machine.scheduler()
    for number in range(5):
        scheduler.tick()
        if len(machine.sent) > number:
            machine.end(machine.sent[number])

    assert fired == machine.slots()
    assert [{"entry": "night", **each} for each in missed] == machine.said(EventType.SCHEDULE_MISSED)


def test_what_was_missed_is_said_by_the_scheduler_that_decided_it(machine, clock):
    machine = machine(entry(at=Cron("0 * * * *"), catch_up="never"))
    machine.scheduler().tick()
    clock.advance(3 * 3600 + 600)
    one, other = machine.scheduler(), machine.scheduler()
    state, look = machine.store.schedules.look(["night"]).states["night"], machine.store.schedules.look([])
    # Both have looked before either decides.
    for scheduler in (one, other):
        scheduler._decide(scheduler.entries["night"], state, look)

    assert 1 == len(machine.said(EventType.SCHEDULE_MISSED))


@pytest.mark.parametrize(("late", "fires"), [(LATE, True), (LATE + 0.001, False)])
def test_slot_that_is_a_little_late_was_not_missed(late, fires):
    found = due(entry(catch_up="never"), 0, MINUTE + round(late * 1000))

    assert (Due((Slot(MINUTE),)) if fires else Due((), missed=Missed(MINUTE, MINUTE, 1))) == found


def test_slots_beyond_the_most_that_fire_are_missed():
    found = due(entry(at=Every(1), catch_up="all"), 0, 1_500_000)

    assert ((1000, Slot(501_000), Slot(1_500_000)), 1000) == (
        (len(found.slots), found.slots[0], found.slots[-1]),
        found.waiting,
    )
    assert Missed(1_000, 500_000) == found.missed


def test_slots_that_are_too_many_to_count_are_missed_without_a_number():
    assert Missed(1_000, 1_499_000) == due(entry(at=Every(1)), 0, 1_500_000).missed


def test_person_starts_a_slot_within_the_overlap_of_its_entry():
    slot = (Slot(7, by_hand=True),)

    assert [Due(slot), Due(slot, 1), Due(slot, force=True)] == [
        by_hand(entry(), 7),
        by_hand(entry(overlap="queue_one"), 7),
        by_hand(entry(), 7, force=True),
    ]


def test_store_that_is_away_is_said_once_and_caught_up_with(machine, clock):
    machine = machine()

    class Away:
        schedules = property(lambda self: self)

        def look(self, entries):
            raise StoreUnavailable(verb="look", reason="timeout")

    scheduler = machine.scheduler()
    scheduler.tick()
    store, scheduler.store = scheduler.store, Away()
    rests = [scheduler.tick() for _ in range(3)]
    clock.advance(150)
    scheduler.store = store
    scheduler.tick()

    assert [LONGEST_TICK] * 3 == rests
    assert [{"reason": "timeout"}] == machine.said(EventType.SCHEDULE_AWAY)
    assert 1 == len(machine.said(EventType.SCHEDULE_BACK))
    assert ["00:02:00"] == machine.slots()


def test_entry_of_another_time_goes_on_from_its_last_slot(machine, clock):
    machine = machine()
    machine.scheduler().tick()
    clock.advance(60)
    machine.scheduler().tick()
    machine.end(machine.sent[0])
    machine.entries = [replace(machine.entries[0], at=Every(3600))]
    clock.advance(60)
    machine.scheduler().tick()
    clock.advance(3600 - 120)
    machine.scheduler().tick()

    assert ["00:01:00", "01:00:00"] == machine.slots()
