"""What the last calls met says whether a refusal is the provider's or one job's own."""

import pytest

from askonce.errors import Postponed
from askonce.pace.met import Met
from askonce.pace.turn import Turn
from tests.unit.gated import callers


@pytest.fixture
def met():
    return Met()


def turn(subject, begun=0.0):
    return Turn(subject, begun, 0, is_probe=False, among=1, crowd=0.0)


def answer(met, count):
    for number in range(count):
        met.answered(turn(f"other-{number}"))


def test_job_with_trouble_of_its_own_rests_five_minutes_at_most(met):
    rests = []
    for _ in range(12):
        answer(met, 5)
        rests.append(met.own_rest("job"))

    assert [128.0, 256.0, 300.0, 300.0, 300.0] == rests[7:]


def test_calls_of_no_job_have_no_trouble_of_their_own(met):
    rests = []
    for _ in range(6):
        answer(met, 5)
        rests.append(met.own_rest(""))

    assert [0.0] * 6 == rests


def test_answers_between_the_refusals_of_a_job_add_up(met):
    rests = []
    for _ in range(5):
        answer(met, 3)
        rests.append(met.own_rest("job"))

    # The first, third and fifth refusal have five answers to others before them.
    assert [0.0, 0.0, 0.0, 0.0, 4.0] == rests


def test_call_is_not_judged_by_its_own_job(met):
    met.refused(1.0, "job")

    assert met.after(turn("job", 1.0), 1.0) is None
    assert not met.before(turn("job", 1.0))


def test_call_is_judged_by_the_last_call_of_another_job(met):
    met.refused(1.0, "other")
    assert met.after(turn("job", 1.0), 1.0) is True

    met.answered(turn("other", 2.0))

    assert met.after(turn("job", 1.0), 2.0) is False


def test_answer_to_a_call_of_before_the_refusal_says_nothing(met):
    met.answered(turn("other", 2.0))

    assert met.after(turn("job", 1.0), 2.5) is None


def test_call_that_began_earlier_decides_only_where_no_later_one_does(met):
    met.refused(1.0, "other")

    assert met.after(turn("job", 2.0), 2.0) is None
    assert met.before(turn("job", 60.5))
    assert not met.before(turn("job", 61.5))


def test_no_more_than_some_calls_are_known(met):
    answer(met, 3_000)

    assert 64 == len(met._calls)


def test_look_of_a_job_with_trouble_of_its_own_is_news_of_the_provider(processes):
    pace = processes.start()
    for _ in range(3):
        answer(pace._judge._met, 5)
        pace._judge._met.own_rest("bad")
    answer(pace._judge._met, 5)
    processes.look_back()
    with callers((pace, "bad")) as [waiting]:
        processes.exchange(after=0.5)
        failure = pace._failed(waiting.get(), Postponed("overloaded"))
    processes.exchange(after=0.5)

    assert "overloaded" == failure.reason
    assert 2 == pace.state.rest.times
