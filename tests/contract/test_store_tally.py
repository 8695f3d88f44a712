import pytest

from askonce.lost import Resent
from askonce.record import MAX_COUNTERS
from askonce.tally import Book, Counter
from tests.counters import is_of_runs

# One suite for every store: what is counted, and that it is counted once.

BOOK = Book("orders", "", "", (("calls", 1), ("micro_usd", 1200), ("tokens:in", 7)))
PAID = {"calls": 1, "micro_usd": 1200, "tokens:in": 7}
_DAY = 86_400


def counted(scene, **named):
    """Return the counters of one task, tenant and model that are not 0, without those of its runs."""
    name = ({"task": "orders", "tenant": "", "model": ""} | named).values()
    totals = scene.store.tally.totals()
    found = {counter.what: n for counter, n in totals.items() if n and counter[:3] == tuple(name)}
    return {what: n for what, n in found.items() if not is_of_runs(what)}


def test_each_call_of_enqueue_is_counted_by_its_outcome(scene):
    scene.run()
    scene.admit("job-2")
    scene.complete()
    scene.admit("job-3")
    scene.admit("job-4", "fp-2", on_mismatch="conflict")

    seen = {"admitted": 1, "attached": 1, "done": 1, "hit": 1, "conflict": 1, "avoided_unknown": 1}
    assert seen == counted(scene)


def test_refused_calls_of_enqueue_are_counted(scene):
    scene.run()
    scene.fail(kind="permanent")
    scene.admit("job-2")
    spent = scene.at(scene.key[:-1] + "1")
    spent.run(max_attempts=1)
    spent.fail(quarantine=False, after=9.0)
    spent.admit("job-2")

    assert {"admitted": 2, "failed": 2, "negative": 1, "backoff": 1} == counted(scene)


def test_resent_and_cancelled_jobs_are_counted(scene):
    scene.admit()
    scene.clock.advance(60)
    scene.deliver()
    sent_at = scene.admit("job-2").record.now
    scene.store.resent([Resent(scene.key, "job-1", sent_at)])
    scene.cancel()

    assert {"admitted": 1, "resend": 1, "cancelled": 1} == counted(scene)


def test_counters_are_named_by_task_tenant_and_model(scene):
    scene.admit(task="lookups", tenant="acme", model="small")

    assert {"admitted": 1} == counted(scene, task="lookups", tenant="acme", model="small")
    assert {} == counted(scene)


@pytest.mark.parametrize("cost", [1200, 0, None])
def test_hit_counts_what_it_avoided(scene, cost):
    scene.run()
    scene.complete(micro_usd=cost)
    scene.admit("job-2")

    avoided = {} if cost == 0 else {"avoided_unknown": 1} if cost is None else {"avoided_micro_usd": cost}
    assert {"admitted": 1, "done": 1, "hit": 1} | avoided == counted(scene)


def expire(scene):
    scene.clock.advance(60)
    scene.reap()


def give_up(scene):
    scene.run(max_attempts=1)
    scene.clock.advance(30)
    scene.reap()


JOBS = {
    "done": lambda scene: (scene.run(), scene.complete()),
    "failed": lambda scene: (scene.run(), scene.fail(kind="permanent")),
    "fallback": lambda scene: (scene.run(), scene.fail(kind="fallback", data=b"j0")),
    "quarantined": lambda scene: (scene.run(max_attempts=1), scene.fail(quarantine=True)),
    "expired": lambda scene: (scene.admit(expires=60.0), expire(scene)),
    "cancelled": lambda scene: (scene.admit(), scene.cancel()),
}


@pytest.mark.parametrize("outcome", JOBS)
def test_job_is_counted_by_how_it_ended(scene, outcome):
    JOBS[outcome](scene)

    assert {"admitted": 1, outcome: 1} == counted(scene)


def test_job_that_is_given_up_without_its_worker_is_counted(scene):
    give_up(scene)

    assert {"admitted": 1, "quarantined": 1, "in_doubt": 1} == counted(scene)


def test_job_whose_answer_comes_after_its_end_is_counted_as_both(scene):
    give_up(scene)
    scene.complete()

    assert {"admitted": 1, "quarantined": 1, "done": 1} == counted(scene)


ENDS = {
    "answer": lambda scene: scene.complete(book=BOOK),
    "transient failure": lambda scene: scene.fail(after=9.0, book=BOOK),
    "permanent failure": lambda scene: scene.fail(kind="permanent", book=BOOK),
    "fallback": lambda scene: scene.fail(kind="fallback", data=b"j0", book=BOOK),
    "end by the body": lambda scene: scene.fail(kind="cancelled", book=BOOK),
}
OUTCOMES = {
    "answer": {"done": 1},
    "permanent failure": {"failed": 1},
    "fallback": {"fallback": 1},
    "end by the body": {"cancelled": 1},
}


@pytest.mark.parametrize("end", ENDS)
def test_what_a_run_paid_is_counted_once(scene, end):
    scene.run()
    for _ in range(3):
        ENDS[end](scene)

    assert {"admitted": 1} | OUTCOMES.get(end, {}) | PAID == counted(scene)


@pytest.mark.parametrize("end", ENDS)
def test_what_a_fenced_owner_paid_is_counted_once(scene, end):
    scene.run()
    scene.clock.advance(30)
    scene.start("owner-2")
    doubted = counted(scene)
    for _ in range(3):
        ENDS[end](scene)

    assert {"admitted": 1, "in_doubt": 1} == doubted
    assert {"admitted": 1} | PAID == counted(scene)


@pytest.mark.parametrize("end", ENDS)
def test_what_was_paid_for_a_record_that_is_gone_is_counted_once(scene, end):
    for _ in range(3):
        ENDS[end](scene)

    assert PAID == counted(scene)


def test_what_each_of_two_owners_paid_is_counted(scene):
    scene.run()
    scene.clock.advance(30)
    scene.start("owner-2")
    scene.complete("owner-2", book=BOOK)
    scene.complete("owner-1", book=BOOK)

    assert {"admitted": 1, "done": 1} | {what: 2 * n for what, n in PAID.items()} == counted(scene)


OVERTAKES = {
    "reaper": lambda scene: scene.reap(),
    "caller": lambda scene: scene.admit("job-2"),
    "worker": lambda scene: scene.start("owner-2"),
}


@pytest.mark.parametrize("attempts", [1, 3])
@pytest.mark.parametrize("by", OVERTAKES)
def test_run_whose_worker_was_lost_is_in_doubt(scene, by, attempts):
    scene.run(max_attempts=attempts)
    scene.clock.advance(30)
    OVERTAKES[by](scene)

    assert 1 == counted(scene)["in_doubt"]


@pytest.mark.parametrize("attempts", [1, 3])
@pytest.mark.parametrize("by", OVERTAKES)
def test_late_answer_ends_the_doubt(scene, by, attempts):
    scene.run(max_attempts=attempts)
    scene.clock.advance(30)
    OVERTAKES[by](scene)
    for _ in range(2):
        scene.complete(book=BOOK)

    seen = counted(scene)
    assert (1, 1200, None) == (seen["calls"], seen["micro_usd"], seen.get("in_doubt"))


@pytest.mark.parametrize("by", ["invalidate", "other payload"])
def test_run_that_was_fenced_on_purpose_is_in_doubt_until_its_end(scene, by):
    scene.run()
    scene.invalidate() if by == "invalidate" else scene.admit("job-2", "fp-2")
    doubted = counted(scene)["in_doubt"]
    scene.complete(book=BOOK)

    assert (1, None, 1) == (doubted, counted(scene).get("in_doubt"), counted(scene)["calls"])


def test_replayed_verbs_count_once(scene):
    for _ in range(2):
        scene.admit()
    for _ in range(2):
        scene.start()
    for _ in range(2):
        scene.park()
    for _ in range(2):
        scene.cancel()

    assert {"admitted": 1, "cancelled": 1} == counted(scene)


def test_counters_of_a_day_are_its_own(scene):
    today = int(scene.clock()) // _DAY
    scene.admit()
    scene.clock.advance(_DAY)
    scene.admit("job-2")

    days = scene.store.tally.of_days(range(today - 400, today + 3))

    assert [(today, {"admitted": 1}), (today + 1, {"attached": 1})] == [
        (day, {counter.what: n for counter, n in counters.items()}) for day, counters in sorted(days.items())
    ]
    assert [today + 1] == list(scene.store.tally.of_days(range(today + 1, today + 2)))
    assert {} == scene.store.tally.of_days(range(today, today))


def test_folded_days_are_counted_once(scene, at_once):
    began = int(scene.clock()) // _DAY
    for n in range(3):
        scene.at(f"{n:02x}" + scene.key[2:]).admit(tenant="acme")
        scene.clock.advance(_DAY)
    scene.clock.advance(2 * _DAY)
    scene.admit(tenant="acme")

    at_once(lambda _: scene.store.tally.fold(), 4)
    if hasattr(scene.store, "_scripts"):
        assert not any(day < began + 4 for _, day, *_ in scene.store.tally._in_buckets())
    folded = scene.store.tally.fold()

    assert 0 == folded
    assert {"admitted": 4} == counted(scene, tenant="acme")
    days = scene.store.tally.of_days(range(began, began + 6))
    of_days = [(day - began, sum(counters.values())) for day, counters in sorted(days.items())]
    assert [(0, 1), (1, 1), (2, 1), (5, 1)] == of_days


def test_tenants_beyond_the_limit_share_one_name(scene):
    many = Book("orders", "", "", tuple((f"tokens:{n}", 1) for n in range(MAX_COUNTERS)))
    scene.run()
    scene.complete(book=many)

    for n in range(3):
        scene.at(f"{scene.key[:-1]}{n + 1}").admit(tenant=f"tenant-{n}", model="small")
    scene.admit("job-2")

    totals = scene.store.tally.totals()
    assert 3 == totals[Counter("orders", "other", "small", "admitted")]
    assert MAX_COUNTERS + 7 == sum(n for each, n in totals.items() if not is_of_runs(each.what))
    assert (1, 1) == (counted(scene)["admitted"], counted(scene)["hit"])
