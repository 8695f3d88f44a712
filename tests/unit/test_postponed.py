import pytest

from askonce.errors import Postponed
from askonce.execution import Computed, Deferred


@pytest.mark.parametrize(
    ("wish", "rest"),
    [
        (None, 1.0),
        (0, 1.0),
        (7.5, 7.5),
        (86_400, 86_400.0),
        (90_000, 86_400.0),
        (float("inf"), 86_400.0),
        (float("nan"), 1.0),
        ("soon", 1.0),
    ],
)
def test_job_given_back_rests_from_a_second_to_a_day(scene, raising, wish, rest):
    scene.ask()

    given_back = scene.work(raising(Postponed("rate_limited", retry_after=wish)))

    assert isinstance(given_back, Deferred)
    assert ("rate_limited", rest) == (given_back.reason, given_back.after)


def test_job_given_back_many_times_uses_one_attempt(scene, raising):
    scene.ask()
    for _ in range(9):
        scene.work(raising(Postponed("rate_limited", retry_after=None)))
        scene.clock.advance(1.5)

    done = scene.work()

    assert isinstance(done, Computed)
    assert 1 == done.result.attempts
