import pytest

from tests import deadlines


@pytest.fixture
def machine(monkeypatch):
    """Make the machine as many times slower than a quiet one."""

    def become(times):
        monkeypatch.setattr(deadlines, "_last", (float("-inf"), 1.0))
        monkeypatch.setattr(deadlines, "_seconds_of_fixed_work", lambda: times * deadlines._QUIET_SECONDS)

    return become


@pytest.mark.parametrize(("times", "seconds"), [(0.5, 10), (1, 10), (7, 70)])
def test_deadline_is_stretched_while_the_machine_is_slow(machine, times, seconds):
    machine(times)

    assert pytest.approx(seconds) == deadlines.stretched(10)


def test_condition_gets_more_time_on_a_slow_machine(machine):
    machine(1000)
    looks = iter([False] * 5)

    assert deadlines.eventually(lambda: next(looks, "seen"), 0.001) == "seen"


def test_condition_that_never_holds_fails_the_test(machine):
    machine(1)

    with pytest.raises(pytest.fail.Exception, match=r"not within 0\.01 s"):
        deadlines.eventually(lambda: False, 0.01)
