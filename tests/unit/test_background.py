from threading import Event as Signal
from threading import Semaphore, Thread

import pytest

from askonce import background
from askonce.background import is_alive, start_thread
from askonce.lease import LeaseRenewer
from askonce.reaper import Reaper
from askonce.store import Lease


@pytest.fixture(autouse=True)
def no_rest(monkeypatch):
    monkeypatch.setattr(background, "_REST", 0.01)


class Work:
    """Raises so many times, then returns."""

    def __init__(self, failures):
        self.left, self.runs = failures, 0

    def __call__(self):
        self.runs += 1
        if self.left:
            self.left -= 1
            raise RuntimeError("text of a payload")


def test_work_that_raises_starts_again_and_is_reported(heard):
    work = Work(failures=2)

    start_thread("askonce-test", work, heard.append).join(10)

    assert work.runs == 3
    assert heard.names == ["thread.restarted"] * 2
    assert heard[0].data == {"thread": "askonce-test", "reason": "RuntimeError"}


def test_work_that_returns_ends_its_thread(heard):
    work = Work(failures=0)

    thread = start_thread("askonce-test", work, heard.append)
    thread.join(10)

    assert (work.runs, is_alive(thread), heard) == (1, False, [])


def test_work_starts_again_although_its_listener_raises():
    work, heard = Work(failures=1), []

    def listen(event):
        heard.append(event.name)
        raise RuntimeError("the listener")

    start_thread("askonce-test", work, listen).join(10)

    assert (work.runs, heard) == (2, ["thread.restarted"])


def test_work_that_raised_rests_before_it_starts_again(monkeypatch):
    monkeypatch.setattr(background, "_REST", 60.0)
    work, reports = Work(failures=10**6), Semaphore(0)

    start_thread("askonce-test", work, lambda _event: reports.release())

    assert reports.acquire(timeout=10)
    assert not reports.acquire(timeout=0.05)
    assert work.runs == 1


def test_background_thread_does_not_keep_its_process_alive(heard):
    end = Signal()
    thread = start_thread("askonce-test", lambda: end.wait(10), heard.append)

    assert (thread.daemon, thread.name, is_alive(thread)) == (True, "askonce-test", True)
    end.set()
    thread.join(10)


def test_thread_that_was_never_started_is_not_alive():
    assert not is_alive(None)
    assert not is_alive(Thread())


def test_lease_thread_that_ended_is_started_again_and_reported(scene, heard, eventually):
    counted = scene.fail_on("renew", times=0)
    leases = LeaseRenewer(counted, listen=heard.append)
    leases._thread = Thread()

    with leases.hold(Lease("0" * 64, "owner", 0.03)):
        eventually(lambda: counted.calls)

    assert heard.named("thread.restarted")[0].data == {"thread": "askonce-lease", "reason": "ended"}


def test_reaper_thread_that_ended_is_started_again_and_reported(scene, heard, eventually):
    counted = scene.fail_on("reap", times=0)
    reaper = Reaper(counted, print, listen=heard.append)
    reaper._thread = Thread()

    reaper.look_at("0" * 64, 0.0)
    eventually(lambda: counted.calls)
    reaper.stop()

    assert heard.named("thread.restarted")[0].data == {"thread": "askonce-reaper", "reason": "ended"}
