"""The store's clock is set back while a provider rests."""

import pytest

from askonce.adapters.memory import MemoryStore
from askonce.errors import Postponed
from askonce.pace import Pace, Provider, Rest
from tests.unit.gated import Boards, Processes, Ticks

HOUR = 3600.0


@pytest.fixture
def store_clock():
    ticks = Ticks()
    ticks.now = 1e9
    return ticks


@pytest.fixture
def processes(monkeypatch, heard, store_clock):
    """Processes whose store has a clock of its own; let no pace have a thread of its own."""
    monkeypatch.setattr("askonce.pace.member.start_thread", lambda *_: None)
    made = Processes(heard)
    made.boards = Boards(MemoryStore(store_clock).boards)
    return made


def pass_by(processes, store_clock, seconds):
    store_clock.now += seconds
    processes.exchange(after=seconds)


def rest(processes, store_clock, seconds):
    now = store_clock.now
    rest = Rest(until=now + seconds, since=now, reason="overloaded", probing=True)
    processes.follow(at=now, rest=rest)


def test_rest_ends_in_time_when_the_clock_is_set_back(processes, store_clock, heard):
    pace = processes.start()
    rest(processes, store_clock, 20.0)

    store_clock.now -= HOUR
    pass_by(processes, store_clock, 1.0)
    with pytest.raises(Postponed) as parked:
        pace.begin("job")
    pass_by(processes, store_clock, 21.0)

    assert parked.value.retry_after < 30
    assert pace._rest_left(processes.ticks.now) <= 0
    assert 0 == len([each for each in heard if each.name == "provider.back"])


def test_limit_grows_again_when_the_clock_is_set_back(processes, store_clock):
    pace = processes.start()
    processes.follow(limit=4.0, starting=False, at=store_clock.now, next_change=store_clock.now + 0.3)

    store_clock.now -= HOUR
    pass_by(processes, store_clock, 0.0)
    turns = [pace.begin(f"job-{number}") for number in range(4)]
    for turn in turns:
        pace.end(turn, "answered")
    pass_by(processes, store_clock, 0.5)

    assert pace.state.limit > 4


def test_clock_that_is_set_forward_ends_a_rest(processes, store_clock):
    pace = Pace(processes.boards, Provider(board="service"), clock=processes.ticks)
    processes.paces.append(pace)
    rest(processes, store_clock, 20.0)

    store_clock.now += HOUR
    processes.exchange(after=1.0)

    assert pace._rest_left(processes.ticks.now) <= 0
