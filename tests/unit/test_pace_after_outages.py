"""A rate that was measured, of a provider that went away and came back."""

import pytest

from tests.unit.paced import Course


def back(calls):
    """Return a provider that is back, of which a refusal was the beginning of an outage, and its rate before.

    It took so many *calls* each second; two refusals before that measured its rate.
    """
    course = Course()
    for _ in range(2):
        for _ in range(8):
            course.answer(calls, 1.0)
        course.refuse(1, 1.0, sent=calls)
    for _ in range(8):
        course.answer(calls, 1.0)
    measured = course.state.rate
    course.refuse(1, 1.0, sent=calls)
    for _ in range(9):
        course.refuse(2)
    state = course.state
    assert (True, True, None) == (state.rest.probing, state.is_measured, state.full)
    course.answer(1, course.rest, cured=True)
    return course, measured


@pytest.mark.parametrize("calls", [1, 2, 20])
def test_provider_whose_limit_was_an_outage_comes_back(calls):
    course, _ = back(calls)

    assert course.state.rest is None
    for _ in range(8):
        course.answer(calls, 1.0)
    assert course.state.limit > 2


def test_rate_from_before_an_outage_grows_where_it_is_used():
    course, measured = back(1)

    for _ in range(4):
        course.answer(2, 1.0)

    assert course.state.rate > measured
