"""A crowd of calls under way, all of which are refused."""

from tests.unit.paced import Course


def test_provider_that_refuses_all_that_is_under_way_accepts_nothing():
    course = Course()

    first = course.meet(sent=4, open=3, refused=1, refused_now=1, wish=86_400.0)
    assert (60, False) == (course.rest, first.rest.probing)

    later = course.meet(0.1, refused=3, reason="rate_limited", wish=86_400.0)

    assert (86_400.0, True, "rate_limited") == (course.rest, later.rest.probing, later.rest.reason)
