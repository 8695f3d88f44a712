"""Calls that wait for their turn while their worker ends."""

import pytest

from askonce.errors import Postponed
from askonce.pace import gate
from tests.unit.gated import Processes, callers


@pytest.fixture
def processes(monkeypatch, heard):
    """Let no pace have a thread of its own, and no call look again because it has waited for long."""
    monkeypatch.setattr("askonce.pace.member.start_thread", lambda *_: None)
    monkeypatch.setattr(gate, "PATIENCE", 6000.0)
    return Processes(heard)


def test_calls_that_wait_are_given_back_when_their_worker_ends(processes):
    pace = processes.start(first=1.0, is_fixed=True)
    turn = pace.begin("under way")
    with callers(*((pace, f"job-{number}") for number in range(3))) as waiting:
        processes.are_ending = True
        processes.exchange()

        for each in waiting:
            with pytest.raises(Postponed, match="waiting_for_turn"):
                each.get()

    with pytest.raises(Postponed):
        pace.begin("late")
    pace.end(turn, "answered")
    assert (0, 0) == (pace.open, len(pace._queue))


def test_call_whose_turn_comes_while_its_worker_ends_is_given_back(processes):
    # Five seconds between two calls.
    pace = processes.start(ceiling=0.2)
    pace.end(pace.begin("one"), "answered")
    with callers((pace, "two")) as [waiting]:
        assert not waiting.is_done

        processes.are_ending = True
        processes.exchange(after=5.0)

        with pytest.raises(Postponed, match="waiting_for_turn"):
            waiting.get()
    assert 0 == pace.open
