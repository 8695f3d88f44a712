"""Calls of a minute: few begin in the seconds by which the law sees whether calls are accepted."""

import pytest

from tests.unit.paced import Course, round_trips
from tests.unit.test_pace_learning import Reports

REFUSED = {"sent": 1, "refused": 1, "refused_now": 1, "reason": "connect_failed"}


@pytest.fixture
def reports():
    """16 calls are under way, for a long time."""
    reports = Reports()
    reports.add(sent=16, open=16)
    reports.add(seconds=10.0, open=16)
    return reports


def test_one_refusal_beside_slow_calls_is_no_outage(reports):
    before = reports.state.limit

    refused = reports.add(open=15, **REFUSED)
    later = reports.add(seconds=1.1, open=15)

    assert not refused.rest.probing
    assert (None, before, None) == (later.rest, later.limit, later.rate)


def test_second_refusal_beside_slow_calls_is_an_outage(reports):
    reports.add(open=15, **REFUSED)
    reports.add(seconds=1.1, open=15)

    assert reports.add(open=15, **REFUSED).rest.probing


def test_two_refusals_at_once_are_an_outage(reports):
    assert reports.add(open=14, **{**REFUSED, "refused": 2, "refused_now": 2}).rest.probing


def test_refusal_of_another_day_is_doubted_anew(reports):
    reports.add(open=15, **REFUSED)
    reports.add(seconds=1.1, sent=1, open=16)
    reports.add(seconds=30.0, open=16)

    assert not reports.add(open=15, **REFUSED).rest.probing


def test_wish_of_a_day_of_one_call_rests_all_for_a_minute(reports):
    refused = reports.add(open=15, **REFUSED, wish=86_400.0)

    assert refused.rest.until - reports.now == pytest.approx(60.0)


def test_limit_grows_again_once_calls_are_seen_to_be_longer_by_themselves():
    course = Course()
    for _ in range(40):
        course.answer(1, after=1.0, each=1.0, among=1)

    limits = list(round_trips(course, 40, lambda _: 20.0))

    assert min(limits) < 2
    assert 64 < limits[-1]
