"""One job is refused whenever it comes, while the provider answers all others."""

import pytest

from askonce.errors import Postponed
from askonce.pace import gate
from askonce.pace.met import Met
from askonce.pace.turn import Turn
from tests.unit.gated import Processes


@pytest.fixture
def pace(monkeypatch, heard):
    """A pace without a thread: nothing changes its share."""
    monkeypatch.setattr("askonce.pace.member.start_thread", lambda *_: None)
    monkeypatch.setattr(gate, "_FIRST_SHARE", 0.01)
    return Processes(heard).start()


def refused(pace, subject="bad", wish=20.0):
    """Let the call of a job be refused; return for how long it is parked."""

    def send(_turn):
        raise Postponed("rate_limited", retry_after=wish)

    with pytest.raises(Postponed) as parked:
        pace.call(subject, send)
    return parked.value.retry_after


def others_answered(pace):
    """Let calls of other jobs be answered, after all rests."""
    pace._clock.now += 1000.0
    for number in range(5):
        assert 1 == pace.call(f"good-{number}", lambda _turn: 1)


def test_job_that_is_refused_each_time_stops_no_others(pace):
    others_answered(pace)
    for _ in range(2):
        refused(pace)
        assert pace._rest_left(pace._clock.now) > 0
        others_answered(pace)
    known = pace._member.counts.refused

    refused(pace)

    assert pace._rest_left(pace._clock.now) <= 0
    assert known == pace._member.counts.refused
    assert 0 == pace.open


def test_wish_of_a_day_for_one_job_rests_its_process_for_a_minute(pace):
    others_answered(pace)

    assert refused(pace, wish=86_400.0) >= 86_400.0
    assert pytest.approx(60.0) == pace._member.share.rest_until - pace._clock.now


def test_job_that_is_refused_each_time_rests_longer_each_time(pace):
    rests = []
    for _ in range(6):
        others_answered(pace)
        rests.append(refused(pace, wish=None))

    assert [4.0, 8.0, 16.0, 32.0] == rests[2:]


def test_job_rests_as_its_provider_wishes_where_that_is_longer(pace):
    for _ in range(3):
        others_answered(pace)
        rest = refused(pace, wish=600.0)

    assert 600.0 == rest


def test_jobs_that_are_all_refused_are_news_of_the_provider(pace):
    others_answered(pace)
    for _ in range(5):
        refused(pace)
        pace._clock.now += 1000.0

    refused(pace)

    assert pace._rest_left(pace._clock.now) > 0


def test_job_that_was_answered_has_no_trouble_of_its_own():
    met = Met()

    def answer(subject):
        met.answered(Turn(subject, 0.0, 0, is_probe=False, among=1, crowd=0.0))

    rests = []
    for _ in range(4):
        rests.append(met.own_rest("job"))
        answer("job")
        for _ in range(5):
            answer("other")

    assert [0.0] * 4 == rests


def test_no_more_than_some_refused_jobs_are_known():
    met = Met()

    for number in range(3_000):
        met.own_rest(f"job-{number}")

    assert 1_000 == len(met._refused)
