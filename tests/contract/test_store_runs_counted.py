import pytest

from askonce.controls import Pause
from askonce.lost import Resent
from askonce.record import BOUNDS, MAX_COUNTERS
from askonce.tally import Book

# One suite for every store: what is counted of runs and of their messages.

#: In a bucket of its own, so that no reaper of the other one looks at it.
OTHER = "ff" + "0" * 62


def counted(scene, task="orders"):
    """Return what is counted for the task alone and is not 0."""
    totals = scene.store.tally.totals()
    return {each.what: n for each, n in totals.items() if n and each[:3] == (task, "", "")}


def runs(scene, *names):
    """Return the counters of these *names*."""
    found = counted(scene)
    return tuple(found.get(name, 0) for name in names)


def held(scene):
    """Return how many leases owners hold, as the metrics have it."""
    found = counted(scene)
    times = {
        what: sum(n for name, n in found.items() if name.startswith(f"{what}:")) for what in ("wait", "run")
    }
    over = times["run"] + found.get("parked", 0) + found.get("lost", 0)
    return times["wait"] + found.get("restarted", 0) - over


@pytest.mark.parametrize(
    ("seconds", "bound"), [(0, 50), (0.05, 50), (0.051, 100), (1800, 1_800_000), (1801, "inf")]
)
def test_wait_is_counted_under_the_first_bound_that_it_does_not_exceed(scene, seconds, bound):
    scene.admit(queue_deadline=7200.0)
    scene.clock.advance(seconds)
    scene.start()

    assert (1, round(seconds * 1000)) == runs(scene, f"wait:{bound}", "wait_ms")


@pytest.mark.parametrize("end", ["complete", "fail"])
def test_run_is_counted_by_its_time_however_it_ends(scene, end):
    scene.run()
    scene.clock.advance(2)
    getattr(scene, end)()
    getattr(scene, end)()

    assert (1, 2000) == runs(scene, "run:2500", "run_ms")


def test_bounds_are_in_order_from_50_ms_to_30_minutes():
    assert (0.05, 1800.0) == (BOUNDS[0], BOUNDS[-1])
    assert sorted(set(BOUNDS)) == list(BOUNDS)


def test_job_waits_once_however_often_it_starts(scene):
    scene.run()
    scene.fail(after=1.0)
    scene.clock.advance(5)
    scene.start("owner-2")
    scene.park("owner-2", after=1.0)
    scene.clock.advance(5)
    scene.start("owner-3")

    assert (1, 0, 2) == runs(scene, "wait:50", "wait_ms", "restarted")


def test_wait_begins_when_the_caller_wanted_the_start(scene):
    scene.admit(countdown=600.0)
    scene.clock.advance(600)
    scene.resend()
    scene.clock.advance(3)
    scene.start()

    assert (1, 3000) == runs(scene, "wait:5000", "wait_ms")


def test_wait_begins_at_the_sooner_start_that_a_later_caller_wanted(scene):
    scene.admit(countdown=600.0)
    scene.clock.advance(30)
    scene.admit("job-2", countdown=60.0)
    scene.clock.advance(63)
    scene.start()

    assert (1, 3000) == runs(scene, "wait:5000", "wait_ms")


@pytest.mark.parametrize("returns", [False, True], ids=["put back", "returned"])
@pytest.mark.parametrize("countdown", [0.0, 60.0])
def test_pause_that_a_worker_met_is_waited_for_since_the_enqueue(scene, countdown, returns):
    scene.admit(countdown=countdown)
    scene.clock.advance(countdown)
    scene.store.controls.pause(Pause("all"), "")
    scene.start(returns=returns)
    scene.clock.advance(600)
    scene.store.controls.resume(Pause("all"))
    scene.clock.advance(60)
    scene.start()

    assert (1, round((countdown + 660) * 1000)) == runs(scene, "wait:1800000", "wait_ms")


def test_rest_of_a_failure_is_no_wait(scene):
    scene.admit(countdown=60.0)
    scene.clock.advance(61)
    scene.start()
    scene.fail(after=30.0)
    scene.clock.advance(40)
    scene.start("owner-2")

    assert (1, 1000, 1) == runs(scene, "wait:1000", "wait_ms", "restarted")


def test_next_job_of_a_key_waits_anew(scene):
    scene.run()
    scene.complete(soft=1.0)
    scene.clock.advance(5)
    scene.admit("job-2")
    scene.start("owner-2", "job-2")

    assert (2, 0) == runs(scene, "wait:50", "restarted")


def test_tenants_and_models_share_the_counters_of_their_runs(scene):
    for n, tenant in enumerate(("acme", "umbrella")):
        one = scene.at(scene.key[:-1] + str(n))
        one.run(tenant=tenant, model="small")
        one.complete()

    assert (2, 2) == runs(scene, "wait:50", "run:50")


def reap(scene):
    scene.clock.advance(30)
    scene.reap()


def overtake(scene):
    scene.clock.advance(30)
    scene.start("owner-2")


LOSSES = {
    "reaper": reap,
    "next owner": overtake,
    "other payload": lambda scene: scene.admit("job-2", "fp-2"),
    "invalidation": lambda scene: scene.invalidate(),
}


@pytest.mark.parametrize("how", LOSSES)
def test_lease_that_is_taken_from_its_owner_is_lost(scene, how):
    scene.run()

    LOSSES[how](scene)

    assert (1, 0) == runs(scene, "lost", "run:50")


WRITES = ["complete", "fail", "park", "checkpoint"]


@pytest.mark.parametrize("write", WRITES)
def test_write_without_a_lease_is_counted_as_fenced(scene, write):
    scene.run()
    overtake(scene)
    getattr(scene, write)()

    assert (1, 1, 0) == runs(scene, "fenced", "lost", "parked")


@pytest.mark.parametrize("write", WRITES)
def test_write_of_an_invalidated_job_is_fenced_under_its_task(scene, write):
    scene.run()
    scene.invalidate()
    getattr(scene, write)()

    assert (1,) == runs(scene, "fenced")


@pytest.mark.parametrize("write", WRITES)
def test_write_of_the_lease_s_owner_is_not_fenced(scene, write):
    scene.run()
    getattr(scene, write)()

    assert (0,) == runs(scene, "fenced")


def test_job_that_its_worker_gives_back_is_parked(scene):
    scene.run()
    scene.park()
    scene.park()

    assert (1, 0) == runs(scene, "parked", "lost")


def test_message_that_was_sent_again_is_counted_once(scene):
    scene.admit()
    scene.clock.advance(60)
    scene.deliver()
    sent_at = scene.admit("job-2").record.now
    for _ in range(2):
        scene.store.resent([Resent(scene.key, "job-1", sent_at)])

    assert (1,) == runs(scene, "resent")


COPIES = {
    "runs": lambda scene: scene.run(),
    "is done": lambda scene: (scene.run(), scene.complete()),
    "failed": lambda scene: (scene.run(), scene.fail(kind="permanent")),
    "is replaced": lambda scene: (
        scene.run(),
        scene.complete(soft=1.0),
        scene.clock.advance(2),
        scene.admit("job-2"),
    ),
    "was invalidated": lambda scene: (scene.run(), scene.invalidate()),
    "has another payload": lambda scene: (scene.run(), scene.complete(), scene.admit("job-2", "fp-2")),
}


@pytest.mark.parametrize("job", COPIES)
def test_message_of_a_job_that_needs_none_is_a_copy(scene, job):
    COPIES[job](scene)
    before = runs(scene, "copy")

    scene.start("owner-9")

    assert ((0,), (1,)) == (before, runs(scene, "copy"))


def test_first_message_and_its_repetition_are_no_copies(scene):
    scene.run()
    scene.start()

    assert (0,) == runs(scene, "copy")


ENDS = {
    "an answer": lambda scene: scene.complete(),
    "a failure": lambda scene: scene.fail(),
    "the last failure": lambda scene: scene.fail(kind="permanent"),
    "parking": lambda scene: scene.park(),
    "a lost worker": reap,
    "a cancelled call that is parked": lambda scene: (scene.cancel(), scene.park()),
    "an answer that comes late": lambda scene: (reap(scene), scene.complete()),
    "an overtaken answer": lambda scene: (overtake(scene), scene.complete(), scene.complete("owner-2")),
    "another payload": lambda scene: scene.admit("job-2", "fp-2"),
    "invalidation": lambda scene: scene.invalidate(),
}


@pytest.mark.parametrize("end", ENDS)
def test_leases_that_are_held_follow_from_the_counters(scene, end):
    scene.run()
    other = scene.at(OTHER)
    other.run()
    assert 2 == held(scene)

    ENDS[end](scene)

    assert 1 == held(scene)


@pytest.mark.parametrize("end", ["an answer", "a failure", "parking", "a lost worker"])
def test_leases_that_are_held_follow_from_the_counters_of_a_full_bucket(scene, end):
    scene.run()
    many = Book("orders", "", "", tuple((f"tokens:{n}", 1) for n in range(MAX_COUNTERS)))
    scene.store.tally.book_late(scene.key, "owner-9", many)

    ENDS[end](scene)

    assert 0 == held(scene)
