"""The law and its notes, for any reports."""

import math

import orjson
from hypothesis import example, given
from hypothesis import strategies as st

from askonce.pace.law import adjusted
from askonce.pace.shares import share_of_limit, share_of_rate
from askonce.pace.state import Allowance, Level, Report, Rest, State
from tests.unit.paced import Course

SECONDS = st.floats(0, 1e6)
#: Any text that a process of another version, or no process, may write.
JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63)
    | st.floats(allow_nan=False)
    | st.text(max_size=4),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner, max_size=3),
    max_leaves=6,
)


LEVELS = st.dictionaries(
    st.sampled_from(["0", "2", "4", "7"]), st.tuples(st.integers(1, 100), SECONDS, SECONDS), max_size=2
)
COUNTED = ("open", "wanted", "sent", "answered", "refused", "refused_now", "timed_out_now", "answered_now")


def report(counts, misconfigured, epoch, number, seconds, allowance):
    """Return a report of any *counts*, whether they fit together or not."""
    return Report(
        number=number,
        epoch=epoch,
        misconfigured_now=misconfigured,
        cured=counts[0] % 3 == 0,
        wish=counts[1] ** 2.0,
        seconds=seconds,
        allowance=allowance,
        **dict(zip(COUNTED, counts, strict=True)),
    )


REPORTS = st.builds(
    report,
    st.lists(st.integers(0, 200), min_size=len(COUNTED), max_size=len(COUNTED)),
    st.integers(0, 3),
    st.integers(0, 4),
    st.integers(1, 5),
    LEVELS,
    st.none() | st.tuples(st.floats(), st.floats(), st.floats()).map(lambda each: Allowance(*each)),
)
STEPS = st.lists(
    st.tuples(st.floats(-5, 100), st.dictionaries(st.sampled_from("abc"), REPORTS, max_size=2)), max_size=6
)


def assert_can_be(state):
    """Check that *state* is one that all processes can follow."""
    numbers = [state.limit, state.step, state.round_trip, *([] if state.rate is None else [state.rate])]
    assert all(map(math.isfinite, numbers))
    assert state.limit >= 1
    assert state.rate is None or state.rate > 0
    assert state == State.decode(state.encode())


#: Calls that took no time at all, and calls that took a second with the squares of none.
ODD = {"a": {"0": (4, 0.0, 0.0)}, "b": {"0": (6, 1.0, 0.0), "2": (4, 1.0, 0.0)}}


def test_times_that_cannot_be_make_a_state_that_can_be():
    course = Course()

    for _ in range(3):
        assert_can_be(course.take(**{who: course.report(seconds=each) for who, each in ODD.items()}))


@given(STEPS, st.booleans())
def test_law_makes_a_state_that_can_be_of_any_reports(steps, is_fixed):
    state, now = State(limit=4.0, is_fixed=is_fixed), 1e9
    for seconds, met in steps:
        now += seconds
        reports = {who: found for who, each in met.items() if (found := Report.decode(each.encode()))}
        state = adjusted(state, now, reports)

        assert_can_be(state)
        for who in "abc":
            assert 0 <= share_of_limit(state, who, reports) <= state.limit
            assert 0 < share_of_rate(5.0, who, reports) <= 5.0
        if state.rest is not None:
            assert state.rest.until <= now + 2 * 86_400


ANSWERED = {"sent": 6, "answered": 6, "answered_now": 6, "seconds": {"4": (6, 3.0, 2.0)}}
CURED = {"sent": 1, "answered": 1, "answered_now": 1, "cured": True}
#: What one process meets in half a second, again and again, in the good and bad times of a provider.
TIMES = {
    "good": [ANSWERED],
    "limited": [*[ANSWERED] * 5, {**ANSWERED, "refused": 2, "refused_now": 1}],
    "away": [{"sent": 5, "refused": 5, "refused_now": 5}, {"refused_now": 1}, {}],
    "breaking": [{"sent": 5, "lost_now": 5}, {}],
    "misconfigured": [{"sent": 3, "misconfigured_now": 3, "refused": 3}],
    "back": [CURED, ANSWERED],
    "slow": [{"sent": 1, "timed_out_now": 1}, {"sent": 2, "answered": 2, "seconds": {"4": (2, 30.0, 450.0)}}],
    "quiet": [{}],
}


@example([("good", 4), ("limited", 3), ("away", 3), ("back", 3)])
@given(st.lists(st.tuples(st.sampled_from(sorted(TIMES)), st.integers(1, 12)), min_size=3, max_size=8))
def test_law_goes_on_through_good_and_bad_times(times):
    course = Course()
    for name, often in times:
        for _ in range(often):
            for met in TIMES[name]:
                assert_can_be(course.meet(wanted=64, open=4, **met))


WHOLE_STATE = State(
    limit=4.0,
    marks=[(1.0, 2)],
    full=(1.0, 2),
    rate=1.0,
    rate_before=2.0,
    rest=Rest(until=9.0, since=1.0, reason="overloaded"),
    levels={"4": Level(count=4.0, mean=1.0, variance=0.5, at=1.0)},
    taken={"a": 1},
)
WHOLE_REPORT = Report(number=1, sent=1, seconds={"4": (1, 1.0, 1.0)}, allowance=Allowance(1.0, 1.0, 1.0))


def changed(whole):
    """Return texts in which one value of *whole*, at any depth, is another one."""

    def places(found, way=()):
        inner = (
            found.items() if isinstance(found, dict) else enumerate(found) if isinstance(found, list) else ()
        )
        for name, value in inner:
            yield (*way, name)
            yield from places(value, (*way, name))

    def with_other(way, value):
        found = place = orjson.loads(whole.encode())
        for name in way[:-1]:
            place = place[name]
        place[way[-1]] = value
        return orjson.dumps(found)

    return st.builds(with_other, st.sampled_from(list(places(orjson.loads(whole.encode())))), JSON)


@given(changed(WHOLE_STATE), changed(WHOLE_REPORT), st.floats(0, 2e9))
def test_law_goes_on_whatever_another_process_wrote(text, note, now):
    state = State.decode(text) or State(limit=4.0)
    reports = {
        who: found
        for who, each in (("a", note), ("b", WHOLE_REPORT.encode()))
        if (found := each and Report.decode(each))
    }

    after = adjusted(state, now, reports)

    assert after.encode()
    assert all(share_of_limit(after, who, reports) >= 0 for who in "ab")
    assert all(share_of_rate(after.rate or 1.0, who, reports) > 0 for who in "ab")


@given(st.binary(max_size=40) | JSON.map(orjson.dumps))
def test_text_that_is_no_state_is_none(text):
    assert State.decode(text) is None or orjson.loads(text)["limit"] >= 1
