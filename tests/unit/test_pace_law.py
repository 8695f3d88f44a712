import math
import random
from itertools import pairwise

import pytest

from askonce.pace.law import adjusted
from askonce.pace.limit import queueing_at
from askonce.pace.shares import share_of_limit, share_of_rate
from askonce.pace.state import Allowance, Level, Report, Rest, State
from tests.unit.paced import Course, round_trips

DAY = 86_400.0


@pytest.fixture
def course():
    return Course()


@pytest.fixture
def refused(course):
    """A service that accepted ten calls a second, and then had no room for more."""
    for _ in range(6):
        course.answer(5)
    course.refuse(3, sent=8)
    return course


def test_law_changes_neither_the_state_nor_its_reports(refused):
    state, report = refused.state, refused.report(sent=2, answered=2, seconds={"4": (2, 2.0, 2.0)})
    before = state.encode(), report.encode()

    adjusted(state, refused.now + 1, {"a": report})

    assert before == (state.encode(), report.encode())


def test_report_counts_once_however_often_it_is_seen(course):
    report = course.report(sent=3, answered=3, answered_now=3)

    for _ in range(3):
        course.take(a=report)

    assert (3, 3) == (course.state.accepted, course.state.answered_now)


def test_slow_start_doubles_after_as_many_answers(course):
    limits = [course.answer(count).limit for count in (3, 1, 7, 1, 15, 1)]

    assert [4, 8, 8, 16, 16, 32] == limits


def test_slow_start_goes_no_further_than_calls_are_wanted(course):
    for _ in range(20):
        course.answer(16, wanted=11)

    assert 16 == course.state.limit


def test_answers_to_calls_of_an_older_pace_double_nothing(course):
    report = course.report(sent=4, answered=4, answered_now=4)
    course.answer(4)

    assert 8 == course.take(b=report).limit


def test_refusals_set_the_rate_that_was_accepted(refused):
    assert refused.state.rate == pytest.approx(10, rel=0.3)
    assert (False, None) == (refused.state.starting, refused.state.rest)


def test_two_moments_without_room_measure_the_rate(refused):
    began, accepted = refused.now, refused.state.accepted
    for _ in range(20):
        refused.answer(5)
    before = refused.state.rate = 10.5

    after = refused.refuse(1, sent=1)

    measured = (after.accepted - accepted) / (refused.now - began)
    assert 0.85 * before < measured < 0.97 * before
    assert (measured, True) == (after.rate, after.is_measured)


def test_few_refusals_cost_at_most_15_percent_of_the_rate(refused):
    for _ in range(20):
        refused.answer(1)
    refused.state.is_measured = True
    before = refused.state.rate

    after = refused.refuse(1, sent=1)

    assert 0.85 * before == pytest.approx(after.rate)


def test_many_refusals_cost_at_most_three_quarters_of_the_rate(refused):
    for _ in range(4):
        refused.answer(1)
    refused.state.is_measured = True
    before = refused.state.rate

    after = refused.refuse(4, sent=5)

    assert 0.25 * before <= after.rate < 0.85 * before


def test_crowd_that_was_under_way_is_one_refusal(refused):
    late = [
        refused.report(sent=44, refused=4, refused_now=4, epoch=refused.state.epoch - 1) for _ in range(3)
    ]
    before, full, epoch = refused.state.rate, refused.state.full, refused.state.epoch

    for each in late:
        refused.take(2.0, b=each)

    assert (full, epoch) == (refused.state.full, refused.state.epoch)
    assert before < refused.state.rate


def test_rate_is_not_learned_again_before_all_follow_it(refused):
    refused.state.is_measured = True
    before = refused.state.rate

    assert before == refused.refuse(1, 0.5, sent=2).rate
    assert before > refused.refuse(1, 0.6, sent=2).rate


def test_rate_grows_while_it_is_not_refused_and_wanted_only(refused):
    rates = [refused.answer(50).rate for _ in range(10)]
    assert all(one < other for one, other in pairwise(rates))

    refused.state.is_measured = True
    before = refused.state.rate
    assert before == refused.meet(wanted=0).rate


def test_rate_does_not_grow_while_something_else_holds_calls_back(refused):
    rates = [refused.answer(1, 1.0).rate for _ in range(8)]

    assert 1 == len(set(rates[4:]))


def test_rate_that_nobody_needs_is_forgotten(refused):
    assert refused.meet(20, wanted=1).rate
    assert refused.meet(11, wanted=1).rate is None


def test_provider_that_accepts_nothing_is_left_alone_longer_each_time(course):
    course.refuse(4, 3)
    rests, began = [course.rest], course.now
    for _ in range(6):
        course.refuse(1, course.rest, reason="overloaded")
        rests.append(course.rest)

    assert [1, 2, 4, 8, 16, 30, 30] == rests
    assert (True, False, "overloaded") == (
        course.state.rest.probing,
        course.state.rest.configuration,
        course.state.rest.reason,
    )
    assert began == course.state.rest.since


def test_rest_of_a_provider_that_is_away_ends_with_a_cure_only(course):
    course.refuse(4, 3)

    assert course.answer(3, 60).rest

    assert course.answer(1, cured=True).rest is None
    assert (2.0, True) == (course.state.limit, course.state.starting)
    assert 4.0 == course.answer(2).limit


@pytest.mark.parametrize("few", [3, 20])
def test_failures_that_every_job_would_meet_stop_all_after_a_few(few):
    course = Course(few=few)
    wrong = {"sent": 1, "refused": 1, "misconfigured_now": 1, "reason": "invalid_key"}
    for _ in range(few - 1):
        assert course.meet(**wrong).rest is None

    course.meet(**wrong)

    rests = [course.rest]
    for _ in range(5):
        course.meet(course.rest, **wrong)
        rests.append(course.rest)
    assert [5, 10, 20, 40, 60, 60] == rests
    assert (True, True, "invalid_key") == (
        course.state.rest.probing,
        course.state.rest.configuration,
        course.state.rest.reason,
    )


def test_failures_of_calls_that_were_under_way_together_all_count():
    course = Course(few=20)
    wrong = {"sent": 1, "refused": 1, "misconfigured_now": 1, "reason": "answers_unusable"}
    under_way = [course.report(**wrong) for _ in range(20)]

    for each in under_way[:-1]:
        assert course.take(a=each).rest is None

    assert course.take(a=under_way[-1]).rest is not None


def test_answer_between_failures_of_configuration_counts_anew(course):
    wrong = {"sent": 1, "refused": 1, "misconfigured_now": 1, "reason": "no_credit"}
    for _ in range(3):
        course.meet(**wrong)
        course.meet(**wrong)
        course.answer(1)

    assert course.state.rest is None


def test_timeouts_lower_the_limit_once_a_round_trip():
    course = Course(limit=40.0, round_trip=10.0)

    limits = [course.meet(seconds, timed_out_now=5, sent=5).limit for seconds in (0.5, 5, 4.9, 0.2)]

    assert pytest.approx([28, 28, 28, 19.6]) == limits
    assert not course.state.starting


def test_timeouts_leave_at_least_one_call():
    course = Course(limit=2.0, round_trip=0.1)

    for _ in range(9):
        course.meet(1, timed_out_now=1)

    assert 1.0 == course.state.limit


@pytest.mark.parametrize("seed", range(4))
@pytest.mark.parametrize(("slots", "most"), [(4, 12), (16, 48)])
def test_calls_that_queue_at_the_provider_lower_the_limit(course, slots, most, seed):
    draw = random.Random(seed)

    def latency(among):
        return 6.0 * max(1.0, among / slots) * draw.uniform(0.8, 1.2)

    limits = list(round_trips(course, 80, latency, most=400))

    assert max(limits[20:]) <= most
    assert sum(limits[20:]) / 60 >= slots / 2


@pytest.mark.parametrize("seed", range(8))
def test_calls_of_any_length_that_do_not_queue_lower_no_limit(course, seed):
    draw, spread = random.Random(seed), math.sqrt(math.log(1 + 0.7**2))

    limits = list(round_trips(course, 200, lambda _: draw.lognormvariate(0.0, spread)))

    assert min(limits[40:]) >= 32


@pytest.mark.parametrize(("answers", "longer"), [(3, 1.0), (8, 1.0), (32, 1.6)])
def test_longer_calls_are_a_queue_only_with_answers_enough(answers, longer):
    levels = {
        str(level): Level(count=answers, mean=mean, variance=1.0, at=5.0)
        for level, mean in ((4, 1.0), (6, 1.6))
    }

    assert longer == queueing_at(State(limit=8.0, levels=levels), 6.0, 6)


@pytest.mark.parametrize("seed", [12, 144])
def test_limit_returns_where_chance_looked_like_a_queue(course, seed):
    draw, spread = random.Random(seed), math.sqrt(math.log(1 + 0.7**2))

    limits = list(round_trips(course, 200, lambda _: draw.lognormvariate(0.0, spread)))

    assert min(limits[20:]) < 32 < limits[-1]


def test_limit_that_is_fixed_stays_whatever_is_met():
    course = Course(limit=8.0, is_fixed=True)

    course.answer(40, each=1.0, among=4)
    course.answer(40, each=9.0, among=16)
    course.meet(60, timed_out_now=5)

    assert 8.0 == course.state.limit


def test_headers_raise_the_limit_of_the_start_at_once(course):
    course.answer(1, open=3, allowance=Allowance(500.0, 97.0, 3.0))

    assert 100.0 == course.state.limit


def test_headers_of_a_window_almost_used_set_the_rate(course):
    assert course.answer(1, allowance=Allowance(100.0, 50.0, 10.0)).rate is None
    assert 9.5 == course.answer(1, allowance=Allowance(100.0, 5.0, 10.0)).rate
    assert course.answer(1, allowance=Allowance(100.0, 1.0, 3.0)).rate < 33


@pytest.mark.parametrize(
    "odd", [(0, 0, 60), (-5, -9, 3), (1e18, 0, 60), (100, 0, math.inf), (9, math.nan, 1)]
)
def test_headers_that_cannot_be_are_not_reported(course, odd):
    assert not Allowance(*map(float, odd)).can_be
    assert Report.decode(course.report(allowance=Allowance(*odd)).encode()) is None


def test_headers_of_a_window_that_is_full_soon_set_a_rate_that_can_be(course):
    assert 1e6 == course.answer(1, allowance=Allowance(100.0, 0.0, 1e-300)).rate


def test_wish_of_a_day_is_a_minute_for_all_while_others_are_accepted(course):
    for _ in range(4):
        course.answer(5)

    course.refuse(1, sent=5, wish=DAY)

    assert (60, False) == (course.rest, course.state.rest.probing)
    assert course.answer(0, 60).rest is None


def test_wish_of_a_provider_that_accepts_nothing_is_followed(course):
    course.refuse(4, 3, wish=DAY)

    assert (DAY, True) == (course.rest, course.state.rest.probing)


def test_rate_returns_where_a_limit_was_the_beginning_of_an_outage(refused):
    for _ in range(6):
        refused.answer(5)
    refused.state.is_measured = True
    before = refused.state.rate
    assert refused.refuse(1, sent=6).rate < before

    for _ in range(6):
        refused.refuse(5)

    assert before == refused.state.rate
    assert refused.state.rest.probing


def reports(**wanted):
    return {who: Report(wanted=count) for who, count in wanted.items()}


@pytest.mark.parametrize("limit", [1, 2, 5, 7, 64])
def test_shares_of_processes_that_want_more_are_the_limit(limit):
    all_of = reports(a=64, b=64, c=10, d=0)
    state = State(limit=float(limit))

    assert limit == sum(share_of_limit(state, who, all_of) for who in "abc")
    assert 3.0 == pytest.approx(sum(share_of_rate(3.0, who, all_of) for who in "abc"))


def test_process_with_a_call_under_way_keeps_its_place():
    all_of = {"a": Report(wanted=2), "b": Report(wanted=2, open=1)}

    assert [0, 1] == [share_of_limit(State(limit=1.0), who, all_of) for who in "ab"]


def away(course, **reports):
    course.state.rest = Rest(until=course.now, since=1.0, reason="overloaded", probing=True)
    course.take(**reports)
    return [who for who in "abcd" if share_of_limit(course.state, who, reports)]


def test_one_process_alone_looks_if_the_provider_is_back(course):
    assert [] == away(course, **reports(a=0, b=0))
    one = away(course, **reports(a=2, b=2, c=0))
    assert len(one) == 1

    course.take(**reports(a=2, b=2, c=2, d=2))
    assert one == [course.state.rest.by]


def test_process_that_is_gone_leaves_the_look_to_another(course):
    [one] = away(course, **reports(a=1, b=1))
    [other] = {"a", "b"} - {one}

    course.take(**reports(**{other: 1}))

    assert other == course.state.rest.by
