"""When a run stops before its end, and what becomes of its rows."""

import time
from itertools import count
from types import SimpleNamespace

import pytest

from askonce.cancel import cancel_run
from askonce.errors import Permanent, StoreUnavailable
from askonce.rows import Row
from askonce.store import Cancellation, Failing, Lease
from producer.progress.counts import Counts
from producer.progress.failures import FailureLines
from producer.progress.summary import summary
from producer.run import run as runs
from producer.run.begin import Paid
from producer.run.counted import Counted
from producer.run.ends import how_to_go_on
from producer.run.hold import Hold
from producer.run.limits import INTERRUPTED, LIMIT_REACHED, TAKEN, MaxFailures, Stop
from producer.run.stops import hear_last, renew
from tests.unit.starts import Start, numbered

FOUR = [{"currency": name, "day": "2026-11-20"} for name in ("BRL", "EUR", "BRL", "USD")]


@pytest.fixture
def submit(scene):
    """Submit payloads, and return the reports in the order of the rows."""
    return Start(scene)


def test_run_stops_when_too_many_rows_fail_and_what_is_queued_ends_unpaid(scene, submit, raising):
    calls = []

    def body():
        calls.append(1)
        raise Permanent("http_404")

    rows = [Row(number=n, payload={"currency": f"C{n}"}) for n in range(1, 1001)]
    run = submit.begin(body=body, waits=True, max_failures=MaxFailures(number=4), max_queued=2)

    stop = run.execute(rows)

    assert stop == Stop("5 rows failed, more than 4 (--max-failures)", LIMIT_REACHED, cancels=True)
    assert 5 <= len(calls) <= 6


def test_jobs_of_a_stopped_run_are_cancelled_unless_another_run_shares_them(scene, submit):
    shared = {"currency": "shared"}
    run = submit.begin(waits=True)
    scene.producer.enqueue(scene.spec, shared, run="nightly")
    run.on_jobs = lambda: (
        scene.producer.enqueue(scene.spec, shared, run="another"),
        setattr(run, "stop", Stop("enough", LIMIT_REACHED, cancels=True)),
    )

    run.execute([Row(number=1, payload=shared), Row(number=2, payload=FOUR[0])])

    assert [(r.row, r.status, r.is_open) for r in submit.reports] == [(2, "cancelled", True)]
    assert run.under_way == 1


def test_job_under_way_whose_call_fails_after_the_stop_is_not_called_again(scene, submit):
    times, looks = count(), count()
    run = submit.begin(waits=True, clock=lambda: float(next(times)))

    def begin_and_stop():
        job = scene.sender.sent[0].job
        lease = Lease(job.key, "owner", 600.0)
        scene.store.start(job, lease)
        run.stop = Stop("enough", LIMIT_REACHED, cancels=True)
        failed = Failing(kind="transient", reason="unavailable", after=5.0)
        # The first look is before the jobs are cancelled.
        run.on_under_way = lambda _: next(looks) and scene.store.fail(lease, failed)

    run.on_jobs = begin_and_stop
    run.execute([Row(number=1, payload=FOUR[0])])

    assert ["cancelled"] == [report.status for report in submit.reports]


def test_run_that_stops_while_the_store_is_away_says_why_it_stopped(submit, monkeypatch):
    def away(*_):
        raise StoreUnavailable(verb="cancel", reason="TimeoutError")

    monkeypatch.setattr(runs, "cancel_keys", away)
    enough = Stop("enough", LIMIT_REACHED, cancels=True)
    run = submit.begin(waits=True, on_under_way=lambda _: setattr(run, "stop", enough))

    assert enough == run.execute([Row(number=1, payload=FOUR[0])])
    assert 1 == run.under_way


def test_what_has_ended_before_a_run_stops_is_not_dropped(scene, submit):
    run = submit.begin(waits=True)

    def end_and_stop():
        scene.work(number=0)
        run.stop = Stop("interrupted", 130)

    run.on_jobs = end_and_stop
    run.execute([Row(number=n, payload=row) for n, row in numbered(FOUR[:2])])

    assert [(r.row, r.status) for r in submit.reports] == [(1, "done")]
    assert run.under_way == 1


def test_signal_ends_the_wait_for_calls_that_a_limit_leaves_under_way(submit, monkeypatch):
    def all_run(_store, keys, _run):
        run.on_under_way = interrupt
        return [(key, Cancellation.RUNNING) for key in keys]

    def interrupt(_count):
        run.stop = Stop("enough; then interrupted", INTERRUPTED)

    monkeypatch.setattr(runs, "cancel_keys", all_run)
    monkeypatch.setattr(runs, "_GRACE", 5.0)
    run = submit.begin(waits=True)
    run.on_jobs = lambda: setattr(run, "stop", Stop("enough", LIMIT_REACHED, cancels=True))

    began = time.monotonic()
    stop = run.execute([Row(number=1, payload=FOUR[0])])

    assert (INTERRUPTED, 1) == (stop.exit_code, run.under_way)
    assert time.monotonic() - began < 4.0


def test_run_is_shown_with_what_all_its_starts_paid(scene):
    counts, before = Counts(calls=2, cost_micro_usd=500_000), Paid(micro_usd=250_000, calls=3, unpriced=1)

    Hold(scene.store.runs, "nightly", "rates.fetch", counts, before).claim()

    facts = scene.store.runs.get("nightly").facts
    assert (5, 0.75, 1) == tuple(facts[what] for what in ("calls", "cost_usd", "unpriced_calls"))


class Purse:
    """A budget for so many rows at once, and in all."""

    why = "it is spent"

    def __init__(self, at_once, in_all):
        self.at_once, self.in_all, self.reserved, self.most = at_once, in_all, set(), 0

    def reserve(self, row, _payload):
        if len(self.reserved) >= min(self.at_once, self.in_all):
            return False
        self.reserved.add(row)
        self.most = max(self.most, len(self.reserved))
        return True

    def send(self):
        pass

    def settle(self, report):
        if report.row in self.reserved:
            self.reserved.remove(report.row)
            self.in_all -= 1


def test_rows_wait_until_a_budget_has_room_for_them(scene, submit):
    purse = Purse(at_once=2, in_all=10**9)

    reports = submit(FOUR, body=lambda: scene.answer, waits=True, budget=purse)

    assert [r.status for r in reports] == ["done"] * 4
    assert (purse.most, purse.reserved) == (2, set())


def test_run_stops_when_its_budget_is_spent(scene, submit):
    run = submit.begin(body=lambda: scene.answer, waits=True, budget=Purse(at_once=2, in_all=3))

    stop = run.execute([Row(number=n, payload={"currency": f"C{n}"}) for n in range(1, 9)])

    assert stop == Stop("it is spent", LIMIT_REACHED)
    assert [r.row for r in submit.reports] == [1, 2, 3]


@pytest.fixture
def hold(scene):
    """A producer's hold on the run."""
    hold = Hold(scene.store.runs, "nightly", scene.spec.name, Counts())
    hold.claim()
    return hold


def test_run_that_waits_for_nobody_ends_what_it_enqueued_before_it_heard_of_a_cancel(scene, submit, hold):
    run = submit.begin()
    scene.store.runs.ask_to_stop("nightly", "ana: a mistake")
    cancel_run(scene.store, "nightly")
    run.execute([Row(number=1, payload=FOUR[0])])

    hear_last(hold, run)

    assert Stop("by request: ana: a mistake", LIMIT_REACHED, cancels=True) == run.stop
    failure = scene.read().failure
    assert failure is not None, "its job goes on"
    assert "cancelled" == failure.kind


def test_run_that_nobody_cancels_leaves_its_jobs_to_the_workers(scene, submit, hold):
    run = submit.begin()
    run.execute([Row(number=1, payload=FOUR[0])])

    hear_last(hold, run)

    assert (None, "queued") == (run.stop, scene.read().flight)


def test_producer_whose_run_another_one_has_leaves_its_jobs_to_that_one(scene, submit, hold):
    run = submit.begin(waits=True)
    scene.clock.advance(60)
    scene.store.runs.hold("nightly", "another:7", 15.0, scene.spec.name, {})
    run.on_jobs = lambda: renew(hold, run)

    stop = run.execute([Row(number=1, payload=FOUR[0])])

    assert Stop("another:7 works on this run now", TAKEN) == stop
    assert (1, "queued") == (run.under_way, scene.read().flight)
    assert not any("cancel" in line for line in how_to_go_on(run, SimpleNamespace(open=1), kept=True))


@pytest.fixture
def total_of(submit):
    """Execute a run over eight rows that counts; return how many it has read, and what it says of them."""

    def execute(run, counts):
        run.sink = Counted(submit.reports, counts, FailureLines(print))
        run.execute([Row(number=n, payload={"currency": f"C{n}"}) for n in range(1, 9)])
        read = counts.rows
        counts.end_reading(queued=run.under_way)
        return read, summary(counts, 1.0)[0]

    return execute


def test_row_that_costs_too_much_is_no_part_of_the_summary(scene, submit, total_of):
    run = submit.begin(body=lambda: scene.answer, waits=True, budget=Purse(at_once=2, in_all=3))

    assert (4, "3 of 8 rows: 3 done") == total_of(run, Counts(total=8))


def test_row_that_waits_for_room_at_a_signal_is_no_part_of_the_summary(submit, total_of):
    counts = Counts(total=8)

    def interrupt(_under_way):
        if counts.rows > run.max_queued:
            run.stop = Stop("interrupted", INTERRUPTED)

    run = submit.begin(waits=True, max_queued=2, on_under_way=interrupt)

    assert (3, "2 of 8 rows: 2 still queued") == total_of(run, counts)
