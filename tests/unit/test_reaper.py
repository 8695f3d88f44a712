from itertools import count
from threading import Event as Signal

import pytest

from askonce import reaper as reaper_module
from askonce.errors import RecordDamaged, SendFailed, StoreUnavailable, Transient
from askonce.job import Job
from askonce.lost import DEFAULT_BUDGET, Delivered, Lost, Resent
from askonce.reaper import _SLACK, _SLICES, Reaper
from askonce.record import BUCKETS
from askonce.store import Write
from tests.jobs import DELIVERED

EVERYWHERE = range(BUCKETS)


class Reaping:
    """A store that only reaps: it notes where, and gives out what it is told."""

    def __init__(self):
        self.looks, self.lost, self.errors, self.looked = [], [], [], Signal()
        #: Before which look each question was that collects nothing.
        self.probes = []
        self.counted, self.folds, self.delivered = [], 0, []

    def reap(self, buckets, delivered=(), budget=DEFAULT_BUDGET):
        self.delivered.append(delivered)
        if self.errors:
            raise self.errors.pop()
        if not budget.jobs:
            self.probes.append(len(self.looks))
            return []
        self.looks.append(list(buckets))
        self.looked.set()
        found, self.lost = self.lost, []
        return found

    def resent(self, sent):
        self.counted += sent
        return [Write.OK] * len(sent)

    @property
    def tally(self):
        return self

    def fold(self):
        self.folds += 1


def lost(key="0a" + "0" * 62, resent=1):
    job = Job(key=key, id="job-1", fingerprint="fp", task="rates.fetch", payload=b"{}")
    return Lost(job, resent, 7)


def test_what_a_queue_has_delivered_ages_during_a_sweep(reaping):
    seen = [Delivered("slow", "*", seconds=1.5), Delivered("slow", 0, sent_at=9)]
    reaper = Reaper(reaping, print, delivered=lambda: seen, clock=count(100.0, 2.0).__next__)

    reaper.sweep(range(24))

    ages = [[(each.seconds, each.sent_at) for each in delivered] for delivered in reaping.delivered]
    assert [[(began, 0), (None, 9)] for began in (3.5, 5.5, 7.5)] == ages


def looked_at(reaping):
    return [bucket for look in reaping.looks for bucket in look]


@pytest.fixture
def reaping():
    return Reaping()


@pytest.fixture
def sent():
    return []


@pytest.fixture
def new_reaper(reaping, sent, heard, monkeypatch):
    """Make reapers that are stopped after the test."""
    monkeypatch.setattr(reaper_module, "_RECOVERY", 0.05)
    made = []

    def make(store=reaping, send=sent.append, **options):
        made.append(Reaper(store, send, delivered=lambda: DELIVERED, listen=heard.append, **options))
        return made[-1]

    yield make
    for reaper in made:
        reaper.stop()


def test_lost_message_is_sent_again_with_all_it_needs(scene, sent, new_reaper):
    asked = scene.ask()
    scene.clock.advance(scene.spec.queue_deadline)

    count = new_reaper(scene.store).sweep(EVERYWHERE)

    [message] = scene.sender.sent
    assert count == 1
    [again] = sent
    assert (again.job.key, again.job.id) == (asked.key, asked.job)
    assert again == Lost(message.job, 0, again.sent_at)


def test_job_of_a_killed_worker_is_sent_again_after_its_lease(scene, running, sent, new_reaper):
    scene.ask()
    running(scene.work)
    reaper = new_reaper(scene.store)
    reaper.sweep(EVERYWHERE)
    before = list(sent)

    scene.clock.advance(scene.spec.lease)
    reaper.sweep(EVERYWHERE)

    assert (before, len(sent)) == ([], 1)


def test_job_is_looked_for_in_the_given_buckets_only(scene, sent, new_reaper):
    key = scene.ask().key
    scene.clock.advance(scene.spec.queue_deadline)
    reaper = new_reaper(scene.store)

    assert reaper.sweep([bucket for bucket in EVERYWHERE if bucket != int(key[:2], 16)]) == 0
    assert reaper.sweep([int(key[:2], 16)]) == 1


def test_two_reapers_never_send_the_same_job(scene, sent, new_reaper, threads):
    for number in range(40):
        scene.ask({"currency": f"C{number}"})
    scene.clock.advance(scene.spec.queue_deadline)

    reapers = [new_reaper(scene.store) for _ in range(8)]
    counts = list(threads.map(lambda reaper: reaper.sweep(EVERYWHERE), reapers))

    assert sum(counts) == 40
    assert len({lost.job.key for lost in sent}) == len(sent) == 40


def test_every_resend_is_an_event(reaping, heard, new_reaper):
    reaping.lost = [lost(resent=2)]
    new_reaper().sweep([10])

    [event] = heard
    assert (event.name, event.task, event.job, dict(event.data)) == (
        "job.resent",
        "rates.fetch",
        "job-1",
        {"resends": 3},
    )
    assert reaping.counted == [Resent("0a" + "0" * 62, "job-1", 7)]


def test_damaged_record_is_an_event_and_delays_no_other(reaping, heard, sent, new_reaper):
    reaping.lost = [RecordDamaged(key="0a" + "1" * 62, reason="unreadable"), lost()]
    new_reaper().sweep([10])

    told = [(event.name, event.key[:3], dict(event.data)) for event in heard]
    assert told == [
        ("record.damaged", "0a1", {"reason": "unreadable"}),
        ("job.resent", "0a0", {"resends": 2}),
    ]
    assert [each.job.key[:3] for each in sent] == ["0a0"]


def test_every_bucket_is_looked_at_once_in_each_round(reaping, new_reaper, eventually):
    new_reaper(interval=0.02).start()
    eventually(lambda: len(looked_at(reaping)) >= 2 * BUCKETS)

    for start in (0, BUCKETS):
        assert sorted(looked_at(reaping)[start : start + BUCKETS]) == list(EVERYWHERE)


def test_one_look_is_at_few_buckets(reaping, new_reaper):
    new_reaper().sweep(EVERYWHERE)

    assert max(len(look) for look in reaping.looks) == 8


def test_bucket_with_lost_jobs_is_looked_at_again(reaping, new_reaper):
    reaping.lost = [lost()]
    new_reaper().sweep([10, 11])

    assert reaping.looks == [[10, 11], [10]]


def test_counters_of_past_days_are_folded_now_and_then(reaping, new_reaper, eventually):
    new_reaper(interval=0.02).start()
    eventually(lambda: len(looked_at(reaping)) >= 2 * BUCKETS)

    assert reaping.folds == 1


def test_no_bucket_waits_for_longer_than_a_sweep(reaping, new_reaper, eventually):
    new_reaper(interval=0.02).start()
    eventually(lambda: len(looked_at(reaping)) >= 2 * BUCKETS)

    assert looked_at(reaping)[:BUCKETS] == looked_at(reaping)[BUCKETS : 2 * BUCKETS]


def test_processes_look_in_different_orders(reaping, new_reaper, eventually):
    orders = []
    for _ in range(2):
        reaping.looks.clear()
        reaper = new_reaper(interval=0.02)
        reaper.start()
        eventually(lambda: len(looked_at(reaping)) >= BUCKETS)
        reaper.stop()
        orders.append(looked_at(reaping)[:BUCKETS])

    assert orders[0] != orders[1]


def test_sweep_of_all_buckets_takes_the_interval(reaping, new_reaper, eventually):
    pauses = Signal()
    new_reaper(interval=3600.0).start()
    eventually(lambda: len(looked_at(reaping)) >= BUCKETS // _SLICES)

    assert not pauses.wait(0.1)
    assert len(looked_at(reaping)) <= BUCKETS // _SLICES + 1


def test_job_that_rests_is_looked_for_when_its_rest_is_over(reaping, new_reaper, eventually):
    new_reaper().look_at("0a" + "0" * 62, 0.05)

    eventually(lambda: reaping.looks)

    assert reaping.looks == [[10]]


def test_job_that_rests_is_not_looked_for_before(reaping, new_reaper):
    now = [100.0]
    reaper = new_reaper(clock=lambda: now[0])
    reaper.look_at("0a" + "0" * 62, 0.0)
    reaping.looked.wait(0.2)
    before = list(reaping.looks)

    now[0] += _SLACK
    reaper.look_at("0b" + "0" * 62, 1000.0)

    assert reaping.looked.wait(5)
    assert (before, reaping.looks) == ([], [[10]])


def test_looks_that_are_due_together_are_one(reaping, new_reaper):
    now = [100.0]
    reaper = new_reaper(clock=lambda: now[0])
    for bucket in ("0c", "0a", "0c"):
        reaper.look_at(bucket + "0" * 62, 1.0)

    now[0] += 2.0
    reaper.look_at("ff" + "0" * 62, 1000.0)

    assert reaping.looked.wait(5)
    assert reaping.looks == [[10, 12]]


@pytest.mark.parametrize(
    "error", [StoreUnavailable(verb="reap", reason="TimeoutError"), RuntimeError("text of a payload")]
)
def test_sweep_that_fails_is_reported_and_followed_by_another(
    reaping, heard, sent, new_reaper, eventually, error
):
    reaping.errors, reaping.lost = [error], [lost()]
    new_reaper(interval=0.02).start()

    eventually(lambda: sent)

    assert (heard[0].name, dict(heard[0].data)) == ("reaper.failed", {"reason": type(error).__name__})


def test_sweep_waits_after_the_store_is_back(reaping, sent, new_reaper, eventually, monkeypatch):
    pauses = []
    monkeypatch.setattr(reaper_module, "_RECOVERY", 0.07)
    monkeypatch.setattr(Reaper, "_pause", lambda _self, seconds: pauses.append(seconds) or True)
    reaping.errors, reaping.lost = [StoreUnavailable(verb="reap", reason="TimeoutError")] * 3, [lost()]
    new_reaper(interval=0.1).start()

    eventually(lambda: sent)

    assert reaping.probes == [0]
    assert pauses == [0.02, 0.02, 0.02, 0.07]


def test_job_that_the_broker_refused_is_sent_by_a_later_sweep(scene, heard, eventually, new_reaper):
    scene.ask()
    scene.clock.advance(scene.spec.queue_deadline)
    refusals, sent = [SendFailed(key="k", job="j")], []

    def send(job):
        if refusals:
            raise refusals.pop()
        sent.append(job)

    new_reaper(scene.store, send, interval=0.02).start()
    eventually(lambda: heard.named("job.send_failed"))
    scene.clock.advance(2 * scene.spec.queue_deadline)

    # The message that was not sent is not counted.
    assert eventually(lambda: sent)[0].resent == 0


@pytest.mark.parametrize("error", [SendFailed(key="k", job="j"), LookupError("no such queue")], ids=repr)
def test_job_that_cannot_be_sent_delays_no_other(scene, heard, new_reaper, error):
    for number in range(5):
        scene.ask({"currency": f"C{number}"})
    scene.clock.advance(scene.spec.queue_deadline)
    refusals, sent = [error], []

    def send(job):
        if refusals:
            raise refusals.pop()
        sent.append(job)

    new_reaper(scene.store, send).sweep(EVERYWHERE)

    assert len(sent) == 4
    assert heard.names[5:] == ["job.send_failed"] + ["job.resent"] * 4


def test_stop_waits_for_the_sweep_under_way(new_reaper, reaping, threads):
    sweeping, go_on = Signal(), Signal()
    reaping.lost = [lost()]

    def send(_job):
        sweeping.set()
        assert go_on.wait(10)

    reaper = new_reaper(send=send)
    reaper.start()
    assert sweeping.wait(5)
    stopped = threads.submit(reaper.stop)

    assert not stopped.done()
    go_on.set()
    stopped.result(10)
    assert not reaper._thread.is_alive()


def test_reaper_that_is_stopped_sends_no_more_of_what_it_was_handed(new_reaper, reaping):
    reaping.lost, sent = [lost(), lost("0b" + "0" * 62)], []

    def send(job):
        sent.append(job)
        reaper.stop()

    reaper = new_reaper(send=send)
    reaper.sweep(EVERYWHERE)

    assert (1, 1) == (len(sent), len(reaping.counted))


def test_stop_without_a_start_does_nothing(new_reaper, reaping):
    new_reaper().stop()

    assert reaping.looks == []


def test_stopped_reaper_starts_no_thread_for_a_look(new_reaper, reaping, heard):
    reaper = new_reaper(interval=3600.0)
    reaper.start()
    assert reaping.looked.wait(5)
    reaper.stop()
    ended, looks = reaper._thread, list(reaping.looks)

    reaper.look_at("0a" + "0" * 62, 0.0)

    assert reaper._thread is ended
    assert not ended.is_alive()
    assert (looks, []) == (reaping.looks, heard.names)


def test_deferred_job_is_run_again_after_a_sweep(scene, raising, sent, new_reaper):
    scene.ask()
    scene.work(raising(Transient("http_503")))
    reaper = new_reaper(scene.store)

    assert reaper.sweep(EVERYWHERE) == 0
    scene.clock.advance(5)
    assert reaper.sweep(EVERYWHERE) == 1
    assert scene.work().result.attempts == 2
