import pytest

from producer.progress.rate import Rate, seconds_left


def looks(*seen):
    rate = Rate()
    return [rate.look(at, ended) for at, ended in seen][-1]


def test_rate_is_of_the_last_minute():
    # 10,000 rows from the cache in the first second, then one row each second.
    seen = [(0, 0), (1, 10_000), *((at, 10_000 + at) for at in range(2, 90))]

    assert 1.0 == looks(*seen)


@pytest.mark.parametrize(
    ("seen", "rate"),
    [
        ([(0, 0)], None),
        ([(0, 0), (2, 500)], None),
        ([(0, 0), (3, 4)], None),
        ([(0, 0), (4, 20)], 5.0),
        ([(0, 0), (29, 4)], None),
        ([(0, 0), (40, 4)], 0.1),
        ([(0, 0), (40, 0)], 0.0),
    ],
)
def test_rate_is_unknown_until_it_means_something(seen, rate):
    assert rate == looks(*seen)


def test_rate_falls_while_no_row_ends():
    rate = Rate()
    for at in range(61):
        rate.look(at, 10 * at)

    assert 5.0 == rate.look(90, 600)
    assert 0.0 == rate.look(200, 600)


def test_rate_keeps_few_samples():
    rate = Rate()
    for tick in range(4000):
        rate.look(tick / 4, tick)

    assert len(rate._samples) < 70


@pytest.mark.parametrize(
    ("rate", "total", "finished", "left"),
    [
        (2.0, 100, 40, 30.0),
        (2.0, 100, 100, 0.0),
        (2.0, 100, 130, 0.0),
        (None, 100, 40, None),
        (0.0, 100, 40, None),
        (2.0, None, 40, None),
    ],
)
def test_time_left_is_known_with_rate_and_total_only(rate, total, finished, left):
    assert left == seconds_left(rate, total, finished)
