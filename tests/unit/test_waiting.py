import gc
import threading
from contextlib import contextmanager
from threading import Event as Signal

import pytest

from askonce import follow, waiting
from askonce.answer import Result
from askonce.errors import JobFailed, Permanent, RecordAbsent, ResultTimeout, StoreUnavailable, Superseded
from askonce.handle import Handle
from askonce.waiting import Waiting, waiting_on
from tests.deadlines import eventually, stretched
from tests.unit.conftest import ANSWER

#: Seconds: no test waits for its end.
LONG = 600.0


@pytest.fixture(autouse=True)
def patient(monkeypatch):
    """Let nothing be found by a look from time to time: only wake-ups count."""
    monkeypatch.setattr(follow, "POLL", LONG)
    monkeypatch.setattr(waiting, "LINGER", 0.01)


@pytest.fixture
def new_waiting(heard):
    return lambda store: Waiting(store, heard.append)


@pytest.fixture
def wait(scene, new_waiting):
    return new_waiting(scene.store).wait


class Ended:
    """A handle on a job that is over."""

    key = "0" * 64

    def __init__(self, end="answer"):
        self._end = end

    def settle(self, _record):
        if isinstance(self._end, Exception):
            raise self._end
        return self._end


class Store:
    """A store that says when somebody waits for wake-ups, and counts the subscriptions."""

    def __init__(self, store):
        self._store, self.waits, self.subscriptions = store, threading.Semaphore(0), 0

    def __getattr__(self, name):
        return getattr(self._store, name)

    @contextmanager
    def subscribe(self, keys):
        self.subscriptions += 1
        with self._store.subscribe(keys) as self._subscription:
            yield self

    def add(self, keys):
        self._subscription.add(keys)

    def leave(self, keys):
        self._subscription.leave(keys)

    def bell(self):
        return self._subscription.bell()

    def wait(self, timeout):
        self.waits.release()
        return self._subscription.wait(timeout)


@pytest.fixture
def store(scene):
    """The scene's store, which is watched."""
    scene.use(Store(scene.store))
    return scene.store


def asked(scene, *names):
    return [scene.ask({"currency": name}).handle for name in names]


def end_of(future):
    """Return the result of a future, or its error."""
    eventually(future.done)
    return future.exception() or future.result()


def value_of(future):
    """Return the answer of a future."""
    end = end_of(future)
    assert isinstance(end, Result), repr(end)
    return end.value


def test_future_has_the_answer_when_the_job_ends(scene, store, wait):
    [handle] = asked(scene, "A")
    future = wait(handle, LONG)
    assert store.waits.acquire(timeout=stretched(10))
    assert not future.done()

    scene.work()

    assert (ANSWER, "call") == (value_of(future), future.result().source)


def test_answer_that_was_there_needs_no_subscription(scene, store, wait):
    [handle] = asked(scene, "A")
    scene.work()

    assert ANSWER == value_of(wait(handle, LONG))
    assert 0 == store.subscriptions


def test_handle_that_comes_while_others_wait_is_followed_at_once(scene, store, wait):
    first, second = asked(scene, "A", "B")
    futures = [wait(first, LONG)]
    assert store.waits.acquire(timeout=stretched(10))
    scene.work(number=1)

    futures.append(wait(second, LONG))

    assert ANSWER == value_of(futures[1])
    assert not futures[0].done()
    scene.work(number=0)
    assert ANSWER == value_of(futures[0])


def test_all_waits_share_one_subscription(scene, store, wait):
    handles = asked(scene, *(f"C{number}" for number in range(200)))
    before = threading.active_count()
    futures = [wait(handle, LONG) for handle in handles]
    assert before + 1 >= threading.active_count()
    assert store.waits.acquire(timeout=stretched(10))

    for number in range(200):
        scene.work(number=number)

    assert [ANSWER] * 200 == [value_of(future) for future in futures]
    assert 1 == store.subscriptions


def test_one_handle_may_be_waited_for_twice(scene, wait):
    [handle] = asked(scene, "A")
    futures = [wait(handle, LONG), wait(handle, LONG), wait(handle, 0)]
    assert ResultTimeout is type(end_of(futures.pop()))

    scene.work()

    assert [ANSWER, ANSWER] == [value_of(future) for future in futures]


def test_wait_has_the_errors_of_result(scene, raising, wait):
    failed, replaced = asked(scene, "A", "B")
    scene.work(raising(Permanent("http_404")), number=0)
    scene.ask({"currency": "B", "day": "another"})
    unknown = Handle.from_key(scene.store, "1" * 64)

    ends = [end_of(wait(handle, LONG)) for handle in (failed, replaced, unknown)]

    assert [JobFailed, Superseded, RecordAbsent] == [type(end) for end in ends]


@pytest.mark.parametrize("seconds", [0, -1, 0.5])
def test_wait_ends_with_its_time_and_says_how_far_the_job_is(scene, wait, seconds):
    first, second = asked(scene, "A", "B")
    long = wait(first, LONG)

    end = end_of(wait(second, seconds))

    assert (ResultTimeout, second.key, "queued") == (type(end), end.key, end.state)
    assert 0 <= end.waited_seconds < LONG
    assert not long.done()
    scene.work(number=0)
    assert ANSWER == value_of(long)


def test_wait_without_time_looks_once_and_subscribes_to_nothing(scene, store, wait):
    done, goes_on = asked(scene, "A", "B")
    scene.work(number=0)

    ends = [end_of(wait(handle, 0)) for handle in (done, goes_on)]

    assert [Result, ResultTimeout] == [type(end) for end in ends]
    assert 0 == store.subscriptions


def test_time_that_is_no_number_is_refused(scene, wait):
    [handle] = asked(scene, "A")

    with pytest.raises(ValueError, match="timeout must be a number of seconds, not nan"):
        wait(handle, float("nan"))


def test_cancelled_wait_is_forgotten_and_its_job_goes_on(scene, store, new_waiting):
    first, second = asked(scene, "A", "B")
    waits = new_waiting(store)
    cancelled, other = waits.wait(first, LONG), waits.wait(second, LONG)
    assert store.waits.acquire(timeout=stretched(10))

    assert cancelled.cancel()
    scene.work(number=1)

    assert ANSWER == value_of(other)
    # Nobody is left, so the thread ends.
    eventually(lambda: waits._thread is None)
    assert (cancelled.cancelled(), set()) == (True, waits._waiters)
    scene.work(number=0)
    assert ANSWER == first.result(0).value


def test_cancelled_wait_whose_job_has_ended_hurts_no_other(scene, store, heard, wait):
    first, second = asked(scene, "A", "B")
    futures = [wait(first, LONG), wait(first, LONG), wait(second, LONG)]
    assert store.waits.acquire(timeout=stretched(10))
    futures[0].add_done_callback(lambda _: futures[1].cancel())

    scene.work(number=0)
    scene.work(number=1)

    assert [ANSWER, ANSWER] == [value_of(futures[place]) for place in (0, 2)]
    assert (True, []) == (futures[1].cancelled(), heard.named("thread.restarted"))


def test_waits_that_ended_before_their_time_are_not_kept(scene, new_waiting):
    [handle] = asked(scene, "A")
    waits = new_waiting(scene.store)
    long = waits.wait(handle, LONG)

    for _ in range(300):
        assert "answer" == end_of(waits.wait(Ended(), LONG))

    assert len(waits._deadlines) < 100
    scene.work()
    assert ANSWER == value_of(long)


@pytest.mark.parametrize("verb", ["read", "subscribe"])
def test_store_that_is_down_is_waited_for(scene, monkeypatch, new_waiting, verb):
    monkeypatch.setattr(waiting, "POLL", 0.01)
    first, second = asked(scene, "A", "B")
    scene.work(number=0)
    failing = scene.fail_on(verb, times=3)
    wait = new_waiting(failing).wait
    futures = [wait(first, LONG), wait(second, LONG)]
    assert ANSWER == value_of(futures[0])

    scene.work(number=1)

    assert ANSWER == value_of(futures[1])


def test_wait_whose_time_is_over_while_the_store_is_down_says_so(scene, new_waiting):
    [handle] = asked(scene, "A")
    failing = scene.fail_on("read")
    wait = new_waiting(failing).wait

    ends = [end_of(wait(handle, seconds)) for seconds in (0.01, 0)]

    assert [StoreUnavailable, StoreUnavailable] == [type(end) for end in ends]
    failing.left = 0


def test_record_whose_own_server_is_away_holds_up_no_other(scene, store, wait):
    [handle] = asked(scene, "A")
    away = Ended(StoreUnavailable(verb="read", reason="TimeoutError"))
    # Each look is at both.
    futures = [wait(away, LONG), wait(handle, LONG)]
    assert store.waits.acquire(timeout=stretched(10))

    assert StoreUnavailable is type(end_of(wait(away, 0)))
    scene.work()

    assert ANSWER == value_of(futures[1])
    assert futures[0].cancel()


@pytest.mark.parametrize("seconds", [LONG, 0])
def test_error_that_no_handle_should_raise_ends_its_wait_only(scene, store, wait, seconds):
    [handle] = asked(scene, "A")
    sound = wait(handle, LONG)
    assert store.waits.acquire(timeout=stretched(10))

    end = end_of(wait(Ended(KeyError("name")), seconds))

    assert KeyError is type(end)
    scene.work()
    assert ANSWER == value_of(sound)


def test_waits_outlive_an_error_that_ends_the_thread(scene, heard, new_waiting):
    [handle] = asked(scene, "A")
    scene.work()
    failing = scene.fail_on("read", times=1, error=RuntimeError())

    assert ANSWER == value_of(new_waiting(failing).wait(handle, LONG))
    assert [("askonce-waiting", "RuntimeError")] == [
        (event.data["thread"], event.data["reason"]) for event in heard.named("thread.restarted")
    ]


def test_thread_ends_after_the_last_wait_and_begins_with_the_next(scene, new_waiting):
    waits = new_waiting(scene.store)
    for name in ("A", "B"):
        [handle] = asked(scene, name)
        future = waits.wait(handle, LONG)
        scene.work()
        assert ANSWER == value_of(future)
        eventually(lambda: waits._thread is None)


def test_handles_on_one_store_share_a_waiting_that_does_not_outlive_them(scene):
    [handle] = asked(scene, "A")
    other = type(scene.store)(scene.clock)
    future = waiting_on(scene.store).wait(handle, LONG)
    assert waiting_on(scene.store) is waiting_on(scene.store)
    assert waiting_on(scene.store) is not waiting_on(other)
    scene.work()
    assert ANSWER == value_of(future)
    del future

    eventually(lambda: (gc.collect(), id(scene.store) not in waiting._shared)[1])


def test_callback_of_a_future_may_wait_for_another(scene, wait):
    first, second = asked(scene, "A", "B")
    scene.work(number=0)
    scene.work(number=1)
    chained, came = [], Signal()
    future = wait(first, LONG)
    future.add_done_callback(lambda _: (chained.append(wait(second, LONG)), came.set()))

    assert ANSWER == value_of(future)
    assert came.wait(stretched(10))
    assert ANSWER == value_of(chained[0])
