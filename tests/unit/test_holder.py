"""Who has a run: two producers are never taken for one, and one that was killed is not waited for."""

import os
import subprocess
import sys

import pytest

from askonce.runs import named
from producer.progress.counts import Counts
from producer.run import holder as holders
from producer.run.errors import RunTaken
from producer.run.hold import Hold
from producer.run.holder import is_gone, new_holder


@pytest.fixture
def hold(scene):
    return lambda: Hold(scene.store.runs, "nightly", "rates.fetch", Counts())


@pytest.fixture
def ended():
    """The number of a process that has ended."""
    process = subprocess.Popen([sys.executable, "-c", ""])
    process.wait()
    return process.pid


@pytest.fixture
def of_another_process(monkeypatch):
    """Return the holder that a process of this number would be."""

    def make(pid):
        with monkeypatch.context() as patch:
            patch.setattr("os.getpid", lambda: pid)
            return new_holder()

    return make


def test_producers_with_one_host_and_one_number_are_two(hold, monkeypatch):
    monkeypatch.setattr("getpass.getuser", lambda: "ana")
    monkeypatch.setattr("socket.gethostname", lambda: "laptop")
    hold().claim()

    with pytest.raises(RunTaken) as refused:
        hold().claim()

    assert f"ana@laptop:{os.getpid()}" == refused.value.holder


def test_run_of_a_killed_producer_is_free_at_once(scene, hold, of_another_process, ended):
    scene.store.runs.hold("nightly", of_another_process(ended), 15.0, "rates.fetch", {})

    hold().claim()

    assert os.getpid() == int(named(scene.store.runs.get("nightly").holder).rpartition(":")[2])


def test_process_that_lives_is_not_gone(of_another_process):
    assert [False, False] == [is_gone(of_another_process(pid)) for pid in (os.getpid(), 1)]


def test_process_of_another_container_is_not_gone(monkeypatch, of_another_process, ended):
    with monkeypatch.context() as patch:
        patch.setattr(holders, "_place", lambda: "another!")
        elsewhere = of_another_process(ended)

    assert (True, False, False) == (is_gone(of_another_process(ended)), is_gone(elsewhere), is_gone("host:1"))


def test_holder_is_one_that_a_store_keeps_whatever_the_user_is_called(scene, hold, monkeypatch):
    monkeypatch.setattr("getpass.getuser", lambda: "a\x1b[2J" * 100)

    hold().claim()

    assert scene.store.runs.get("nightly").holder.startswith("a?[2Ja?[2J")
