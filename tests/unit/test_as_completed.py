import random
from contextlib import contextmanager

import pytest

from askonce import follow, handle
from askonce.answer import Answer, Result
from askonce.errors import JobFailed, Permanent, ResultTimeout, Transient
from askonce.handle import Handle, as_completed

ENDS = {
    "answer": lambda: {"rate": 1},
    "fallback": lambda: Answer(value=None, source="default"),
    "failure": Permanent("http_404"),
    "retry": Transient("http_503"),
    "nothing": None,
}
KINDS = {"failure": JobFailed, "retry": ResultTimeout, "nothing": ResultTimeout}


@pytest.mark.parametrize("seed", range(20))
def test_as_completed_yields_every_handle_once(scene, raising, seed):
    draws = random.Random(seed)
    ends = draws.choices(sorted(ENDS), k=draws.randrange(8))
    handles = [scene.ask({"currency": f"C{n}"}).handle for n in range(len(ends))]
    twins = [scene.ask({"currency": f"C{n}"}).handle for n in range(len(ends))]
    for number, end in enumerate(ends):
        finish(scene, raising, number, ENDS[end])

    yielded = list(as_completed(scene.store, handles + twins, 0))

    assert sorted(map(id, handles + twins)) == sorted(id(each) for each, _ in yielded)
    expected = {handle: KINDS.get(end, Result) for handle, end in zip(handles + twins, ends * 2, strict=True)}
    assert expected == {handle: type(outcome) for handle, outcome in yielded}


def finish(scene, raising, number, end):
    if isinstance(end, Exception):
        scene.work(raising(end), number)
    elif end is not None:
        scene.work(end, number)


def test_as_completed_yields_answers_as_they_come(scene, threads):
    slow, quick = scene.ask({"currency": "A"}), scene.ask({"currency": "B"})
    coming = as_completed(scene.store, [slow.handle, quick.handle], 30.0)
    scene.work(number=1)

    assert next(coming)[0] is quick.handle
    first = threads.submit(next, coming)
    scene.work(number=0)
    assert first.result(10)[0] is slow.handle
    assert list(coming) == []


def test_as_completed_of_finished_jobs_needs_one_look(scene):
    handles = [scene.answered({"currency": f"C{n}"}).handle for n in range(5)]
    counted = scene.fail_on("read", times=0)

    assert len(list(as_completed(counted, handles, 30.0))) == 5
    assert counted.calls == 1


def test_as_completed_of_nothing_reads_nothing(scene):
    counted = scene.fail_on("read", times=0)

    assert list(as_completed(counted, [], 30.0)) == []
    assert counted.calls == 0


def test_as_completed_reads_only_jobs_with_a_wake_up(scene, monkeypatch):
    monkeypatch.setattr(follow, "POLL", 60.0)
    handles = [scene.ask({"currency": f"C{n}"}).handle for n in range(9)]
    looks = []
    store = Noted(scene.store, looks, then=lambda: scene.work(number=0))

    next(as_completed(store, handles, 30.0))

    assert looks == [9, 9, 1]


@pytest.mark.parametrize("verb", ["read", "subscribe"])
def test_as_completed_waits_for_a_store_that_is_down(scene, monkeypatch, verb):
    monkeypatch.setattr(follow, "POLL", 0.01)
    monkeypatch.setattr(handle, "POLL", 0.01)
    handles = [scene.ask({"currency": f"C{n}"}).handle for n in range(3)]
    for number in range(3):
        scene.work(number=number)
    late = scene.ask({"currency": "late"}).handle
    failing = scene.fail_on(verb, times=3)

    outcomes = dict(as_completed(failing, [*handles, late], 0.5))

    assert [Result, Result, Result, ResultTimeout] == [type(outcomes[each]) for each in [*handles, late]]
    assert failing.calls > 3


def test_enqueueing_again_waits_for_the_store_too(scene, monkeypatch):
    monkeypatch.setattr(follow, "POLL", 0.01)
    monkeypatch.setattr(handle, "POLL", 0.01)
    asked = scene.ask()
    scene.store.invalidate(asked.key)
    scene.fail_on("admit", times=2)
    waiter = Handle(scene.store, scene.sender.sent[0].job, lambda: scene.ask().handle)

    with pytest.raises(ResultTimeout):
        waiter.result(0.5)

    assert len(scene.sender.sent) == 2


class Noted:
    """A store that notes how many records each look is for, and lets something happen before a wait."""

    def __init__(self, store, looks, then):
        self._store, self._looks, self._then = store, looks, then

    @contextmanager
    def subscribe(self, keys):
        with self._store.subscribe(keys) as self._subscription:
            yield self

    def add(self, keys):
        self._subscription.add(keys)

    def leave(self, keys):
        self._subscription.leave(keys)

    def read(self, keys):
        self._looks.append(len(keys))
        return self._store.read(keys)

    def wait(self, timeout):
        self._then()
        return self._subscription.wait(timeout)
