import tracemalloc
from dataclasses import replace
from threading import Event as Signal

import pytest

from askonce.errors import LayoutNewer, StoreUnavailable
from askonce.execution import Delivery
from askonce.key import identify
from askonce.store import Write
from askonce.store_down.spill import _PATIENCE, Spill, Unstored
from tests.jobs import new_job

DOWN = StoreUnavailable(verb="complete", reason="TimeoutError")
NEWER = LayoutNewer(verb="complete")


class Writing:
    """A write that raises its error until it is let go; the first call waits until it may begin."""

    def __init__(self, error=None, begin=None):
        self.error, self.calls, self.done, self._begin = error, 0, Signal(), begin

    def __call__(self):
        if self._begin is not None:
            assert self._begin.wait(10)
        self.calls += 1
        if self.error is not None:
            raise self.error
        self.done.set()
        return Write.OK


def unstored(write, key="a", size=1, payload=b"{}"):
    return Unstored(job=new_job(key, payload=payload), size=size, write=write)


@pytest.fixture
def now():
    return [0.0]


@pytest.fixture
def spill(heard, now):
    return Spill(interval=0.01, listen=heard.append, clock=lambda: now[0])


@pytest.fixture
def writing(spill):
    """Make writes; each is let go at the end, so that no thread goes on after its test."""
    made = []

    def make(error=None):
        made.append(Writing(error))
        return made[-1]

    yield make
    for write in made:
        write.error = None
    assert spill.drain(10) == 0


@pytest.mark.parametrize("error", [DOWN, NEWER], ids=["down", "newer"])
@pytest.mark.parametrize("blocked", [1, 20])
def test_answer_that_keeps_failing_holds_up_no_other(spill, writing, heard, error, blocked):
    stuck, others = [writing(error) for _ in range(blocked)], [writing() for _ in range(5)]
    for write in (*stuck, *others):
        assert spill.keep(unstored(write))

    assert all(write.done.wait(10) for write in others)
    assert not any(write.done.is_set() for write in stuck)
    assert spill.drain(0) == blocked
    assert ["process_ended"] * blocked == [event.data["reason"] for event in heard.named("job.unkept")]


def test_store_that_is_down_is_not_called_without_a_rest(heard, eventually):
    spill = Spill(interval=60.0, listen=heard.append)
    begin = Signal()
    writes = [Writing(DOWN, begin) for _ in range(20)]
    for write in writes:
        spill.keep(unstored(write))
    begin.set()

    eventually(lambda: sum(write.calls for write in writes) == 8)
    eventually(lambda: spill._changed._waiters)

    assert [write.calls for write in writes] == [1] * 8 + [0] * 12
    for write in writes:
        write.error = None
    with spill._changed:
        spill._changed.notify_all()
    assert spill.drain(10) == 0


def test_record_that_cannot_be_written_is_given_up_after_a_while(spill, writing, heard, now, eventually):
    newer, down = writing(NEWER), writing(DOWN)
    spill.keep(unstored(newer, "newer"))
    spill.keep(unstored(down, "down"))
    eventually(lambda: newer.calls > 2)
    assert heard == []

    now[0] += _PATIENCE
    eventually(lambda: heard)

    assert [(e.name, e.key, e.data["reason"]) for e in heard] == [("job.unkept", "newer", "LayoutNewer")]
    assert spill.bytes == unstored(down).held


def test_mistake_is_given_up_at_once(spill, writing, heard, eventually):
    mistake = writing(TypeError("text of a payload"))
    spill.keep(unstored(mistake))

    eventually(lambda: heard)

    assert [(e.name, e.data["reason"]) for e in heard] == [("job.unkept", "TypeError")]
    assert (mistake.calls, spill.bytes) == (1, 0)


def test_room_counts_answer_payload_and_what_surrounds_them(writing, heard):
    write = Writing(DOWN)
    small, large = unstored(write), unstored(write, size=1000, payload=b"p" * 2000)
    assert large.held - small.held == 999 + 1998

    spill = Spill(max_bytes=large.held, interval=0.01, listen=heard.append)
    assert spill.keep(large)
    assert not spill.keep(small)
    write.error = None
    assert spill.drain(10) == 0
    assert spill.bytes == 0


def test_spill_holds_no_more_memory_than_it_counts(scene, heard):
    down, spill = Down(scene.store), Spill(interval=60.0)
    scene.executor = replace(scene.executor, store=down, spill=spill)
    payloads = [{"currency": f"C{n}", "text": str(n) * 1000} for n in range(100)]
    jobs = [scene.ask(payload).job for payload in payloads]

    tracemalloc.start()
    try:
        for payload, job in zip(payloads, jobs, strict=True):
            # As a worker reads it from a message.
            delivery = Delivery(spec=scene.spec, job=identify(scene.spec, payload, job_id=job))
            scene.executor.execute(delivery, lambda: ["0"] * 5000)
        del delivery
        heard.clear()
        before = tracemalloc.get_traced_memory()[0]
        assert spill.drain(0) == 100
        counted = spill.bytes
        down.up = True
        with spill._changed:
            spill._changed.notify_all()
        assert spill.drain(10) == 0
        freed = before - tracemalloc.get_traced_memory()[0]
    finally:
        tracemalloc.stop()

    assert 0.5 * counted < freed <= counted


class Down:
    """A store that stores no answer until it is up, and then only pretends to."""

    def __init__(self, store):
        self._store, self.up = store, False

    def __getattr__(self, name):
        return getattr(self._store, name)

    def complete(self, *_answer, **_kept):
        if not self.up:
            raise StoreUnavailable(verb="complete", reason="TimeoutError")
        return Write.OK
