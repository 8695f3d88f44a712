from contextlib import contextmanager
from dataclasses import replace
from threading import Event as Signal
from threading import stack_size

import pytest

from askonce.adapters.memory import MemoryStore
from askonce.errors import LayoutNewer, StoreUnavailable
from askonce.execution import Computed
from askonce.lease import LeaseRenewer
from askonce.store import Lease, Renewal, Write


class Renewing:
    """A store that only renews: it notes what it is asked and answers as it is told."""

    def __init__(self):
        self.asked, self.answers, self.errors = [], {}, []

    def renew(self, leases):
        self.asked.append(sorted(leases))
        if self.errors:
            raise self.errors.pop()
        return [self.answers.get(key, Renewal.OK) for key, _, _ in leases]


@pytest.fixture
def renewing():
    return Renewing()


@pytest.fixture
def leases(renewing, heard):
    return LeaseRenewer(renewing, listen=heard.append)


def test_lease_outlives_its_length_while_the_body_runs(scene, running, eventually):
    scene.use(MemoryStore(), replace(scene.spec, lease=0.3))
    scene.ask()
    counted = scene.fail_on("renew", times=0)
    long = running(scene.work)
    eventually(lambda: counted.calls >= 5)

    second = scene.work(lambda: pytest.fail("called twice"))

    assert second.because.word == "busy"
    assert long.finish().stored is Write.OK
    assert scene.heard.named("lease.lost") == []


def test_lease_is_renewed_with_its_owner_and_its_length(leases, renewing, eventually):
    with leases.hold(Lease("key", "owner", 0.03)):
        eventually(lambda: renewing.asked)

    assert renewing.asked[0] == [("key", "owner", 0.03)]


def test_lease_is_not_renewed_before_a_third_of_it(leases, renewing):
    with leases.hold(Lease("key", "owner", 60.0)), leases.hold(Lease("key-2", "owner-2", 60.0)):
        pass

    assert renewing.asked == []


def test_short_lease_is_renewed_in_time_beside_a_long_one(leases, renewing, eventually):
    with leases.hold(Lease("long", "owner", 60.0)), leases.hold(Lease("short", "owner", 0.03)):
        eventually(lambda: len(renewing.asked) > 2)

    assert {key for asked in renewing.asked for key, _, _ in asked} == {"short"}


def test_leases_that_are_due_together_are_renewed_in_one_go(renewing, eventually):
    now = [0.0]
    leases = LeaseRenewer(renewing, clock=lambda: now[0])
    with leases.hold(Lease("a", "owner", 3.0)), leases.hold(Lease("b", "owner", 3.0)):
        now[0] = 1.0
        with leases._changed:
            leases._changed.notify()
        eventually(lambda: renewing.asked)

    assert renewing.asked[0] == [("a", "owner", 3.0), ("b", "owner", 3.0)]


def test_lost_lease_is_reported_once_and_not_renewed(leases, renewing, heard, eventually):
    renewing.answers["key"] = Renewal.FENCED
    with leases.hold(Lease("key", "owner", 0.03)) as lost, leases.hold(Lease("key-2", "owner", 0.03)) as kept:
        eventually(lambda: lost.lost)
        done = len(renewing.asked)
        eventually(lambda: len(renewing.asked) > done + 3)

    assert not kept.lost
    assert [(event.name, event.key) for event in heard] == [("lease.lost", "key")]
    assert {key for asked in renewing.asked[done:] for key, _, _ in asked} == {"key-2"}


def test_lease_whose_job_is_cancelled_knows_it_until_a_renewal_says_otherwise(leases, renewing, eventually):
    with leases.hold(Lease("key", "owner", 0.03)) as held, leases.hold(Lease("key-2", "owner", 0.03)) as kept:
        assert not held.cancelled
        renewing.answers["key"] = Renewal.CANCELLED
        eventually(lambda: held.cancelled)
        assert not kept.cancelled
        renewing.answers["key"] = Renewal.OK
        eventually(lambda: not held.cancelled)


def test_cancelled_lease_is_renewed_and_not_doubted(leases, renewing, heard, eventually):
    renewing.answers["key"] = Renewal.CANCELLED
    with leases.hold(Lease("key", "owner", 0.03)) as held:
        eventually(lambda: len(renewing.asked) > 4)

    assert (True, False, []) == (held.cancelled, held.doubted, heard)


def test_lease_that_ends_beside_its_renewal_is_not_lost(leases, renewing, heard, eventually):
    renewing.answers["key"] = Renewal.FENCED
    with leases.hold(Lease("key", "owner", 30.0)) as ending:
        leases._settle(ending, Renewal.FENCED)

    assert not ending.lost
    assert [] == heard


def test_run_that_lost_its_lease_goes_on_and_is_not_stored(scene, running, eventually):
    scene.use(MemoryStore(), replace(scene.spec, lease=0.1))
    asked = scene.ask()
    late = running(scene.work)
    scene.store.invalidate(asked.key)
    eventually(lambda: scene.heard.named("lease.lost"))

    executed = late.finish()

    assert isinstance(executed, Computed)
    assert (executed.result.value, executed.stored) == (scene.answer, Write.FENCED)


def test_renewing_goes_on_when_the_store_is_back(leases, renewing, eventually):
    renewing.errors = [StoreUnavailable(verb="renew", reason="TimeoutError")] * 3
    with leases.hold(Lease("key", "owner", 0.03)) as lease:
        eventually(lambda: len(renewing.asked) > 5)

    assert not lease.lost


def test_renewing_outlives_a_record_of_a_newer_layout(leases, renewing, eventually):
    renewing.errors = [LayoutNewer(verb="renew")]
    with leases.hold(Lease("key", "owner", 0.03)):
        eventually(lambda: len(renewing.asked) > 2, seconds=1.0)

    assert renewing.errors == []


def test_thread_ends_when_no_lease_is_held_and_starts_again(leases, renewing, eventually):
    with leases.hold(Lease("key", "owner", 0.3)):
        first = leases._thread
    first.join(5)
    assert not first.is_alive()

    with leases.hold(Lease("key", "owner", 0.03)):
        eventually(lambda: renewing.asked)
        assert leases._thread is not first


def test_thread_goes_on_between_two_leases(leases):
    with leases.hold(Lease("key", "owner", 60.0)):
        first = leases._thread
    with leases.hold(Lease("key-2", "owner", 60.0)):
        assert leases._thread is first


def test_lease_ends_with_its_block_even_when_the_body_fails(leases, renewing, eventually):
    with pytest.raises(ZeroDivisionError), leases.hold(Lease("failed", "owner", 0.03)):
        raise ZeroDivisionError
    before = len(renewing.asked)

    with leases.hold(Lease("other", "owner", 0.03)):
        eventually(lambda: len(renewing.asked) > before + 2)

    assert {key for asked in renewing.asked[before + 1 :] for key, _, _ in asked} == {"other"}


@contextmanager
def no_new_threads():
    """Let no thread start: a stack cannot be larger than the address space."""
    size = stack_size(1 << 58)
    try:
        yield
    finally:
        stack_size(size)


def test_lease_is_not_renewed_when_the_renewer_cannot_start(leases, renewing, eventually):
    with no_new_threads(), pytest.raises(RuntimeError), leases.hold(Lease("a", "owner", 0.03)):
        pytest.fail("the block ran without a renewer")

    with leases.hold(Lease("b", "owner", 0.03)):
        eventually(lambda: len(renewing.asked) > 2)

    assert {key for asked in renewing.asked for key, _, _ in asked} == {"b"}


def test_many_threads_hold_and_end_leases(leases, renewing, threads, eventually):
    let_go = Signal()

    def hold(number):
        with leases.hold(Lease(f"key-{number}", "owner", 0.06)):
            assert let_go.wait(10)

    held = [threads.submit(hold, number) for number in range(20)]
    eventually(lambda: len({key for asked in renewing.asked for key, _, _ in asked}) == 20)
    let_go.set()

    assert [each.result(10) for each in held] == [None] * 20
    assert leases._held == set()
