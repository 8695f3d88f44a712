"""Many parked jobs and many processes: they must not cost the workers their time."""

import pytest

from askonce.errors import Postponed
from askonce.pace.member import REPORT_KEPT
from askonce.pace.returns import Returns
from tests.unit.gated import Processes


@pytest.fixture
def processes(monkeypatch, heard):
    """Let no pace have a thread of its own."""
    monkeypatch.setattr("askonce.pace.member.start_thread", lambda *_: None)
    return Processes(heard)


def parked_for(pace, count):
    """Return for how long each of *count* jobs is parked that get no turn."""
    rests = []
    for number in range(count):
        with pytest.raises(Postponed) as parked:
            pace.begin(f"job-{number}")
        rests.append(parked.value.retry_after)
    return rests


def most_at_once(times, seconds):
    """Return the most of *times* within so many *seconds*."""
    return max(sum(begin <= time < begin + seconds for time in times) for begin in times)


def test_parked_jobs_come_back_after_the_rest_and_never_many_at_once():
    returns = Returns()

    after = [returns.after(100.0, 5.0, 0.2, elsewhere=0) for _ in range(200)]

    assert 5.0 < min(after)
    assert max(after) < 5.0 + 200 * 0.1
    # All of them could come at once; twice as many as can be called, and chance, is what may.
    assert most_at_once(after, 1.0) < 60


def test_place_of_a_job_that_came_back_is_free():
    returns = Returns()
    last = max(returns.after(100.0, 0.0, 0.2, elsewhere=0) for _ in range(50))
    assert 50 == returns.parked(100.0)

    assert 0 == returns.parked(100.0 + last)

    assert returns.after(100.0 + last, 0.0, 0.2, elsewhere=0) < 1.2


@pytest.mark.parametrize("interval", [None, 0.001, 10.0])
def test_jobs_of_many_processes_come_back_as_slowly_as_of_one(interval):
    one, many = Returns(), [Returns() for _ in range(8)]

    alone = [one.after(100.0, 5.0, interval, elsewhere=0) for _ in range(80)]
    shared = [each.after(100.0, 5.0, interval, elsewhere=72) for each in many for _ in range(10)]

    assert max(alone) <= 5.0 + (max(shared) - 5.0) * 1.2
    assert most_at_once(shared, 0.1) <= most_at_once(alone, 0.1) + 8


def test_job_waits_for_those_that_other_processes_parked(processes):
    first, other = processes.start(), processes.start()
    processes.look_back(until=processes.ticks.now + 30.0)
    parked_for(first, 2000)
    processes.exchange()

    rests = parked_for(other, 20)

    # 2,000 jobs need 20 s after the rest, whoever parked them.
    assert 30.0 < min(rests) < 35.0
    assert 45.0 < max(rests) < 50.5


def test_jobs_of_a_process_that_ended_are_waited_for_no_more(processes):
    killed, other = processes.start(), processes.start()
    processes.look_back(until=processes.ticks.now + 30.0)
    parked_for(killed, 2000)
    processes.exchange()

    processes.exchange(other, after=REPORT_KEPT)

    assert 0 == other._member.share.parked_elsewhere


def test_jobs_beyond_a_ceiling_come_back_at_its_pace(processes):
    # 12 calls a minute.
    pace = processes.start(ceiling=0.2)
    pace._judge.seconds = 1.0
    pace.begin("first")
    pace._queue.append(object())
    pace._queue.append(object())

    rests = parked_for(pace, 40)
    pace._queue.clear()

    # Ten a second, and not a hundred.
    assert 3.0 < max(rests) < 5.0
