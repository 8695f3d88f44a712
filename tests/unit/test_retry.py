import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from askonce.errors import CallFailed, Configuration, Permanent, Postponed, Transient
from askonce.record import REASON_KEPT_FOR
from askonce.retry import failing, rest, wish_of
from askonce.spec import JobSpec, RetryPolicy
from askonce.store import Failing

SPEC = JobSpec(name="rates.fetch", failure_ttl=77.0, retry=RetryPolicy(base=5.0, cap=300.0))
seconds = st.floats(min_value=0.001, max_value=10_000)


def highest(_low, high):
    return high


@given(base=seconds, cap=seconds, attempt=st.integers(1, 60), seed=st.integers())
def test_rest_is_at_most_the_doubled_base_and_the_cap(base, cap, attempt, seed):
    drawn = rest(RetryPolicy(base=base, cap=cap), attempt, random.Random(seed).uniform)

    assert 0 <= drawn <= min(cap, base * 2 ** (attempt - 1))


@given(base=seconds, cap=seconds, attempt=st.integers(1, 60))
def test_whole_range_is_drawn_from(base, cap, attempt):
    ranges = []

    rest(RetryPolicy(base=base, cap=cap), attempt, lambda *ends: ranges.append(ends) or 0.0)

    assert ranges == [(0.0, min(cap, base * 2 ** (attempt - 1)))]


def test_rests_double_up_to_the_cap():
    rests = [failing(SPEC, Transient("http_503"), attempt, highest).after for attempt in range(1, 9)]

    assert rests == [5.0, 10.0, 20.0, 40.0, 80.0, 160.0, 300.0, 300.0]


def never_drawn(*_ends):
    raise AssertionError("drawn although the provider said when")


@given(wish=st.floats(allow_nan=False), attempt=st.integers(1, 60))
def test_providers_wish_wins_from_a_second_to_a_day(wish, attempt):
    kept = failing(SPEC, Transient("http_429", retry_after=wish), attempt, never_drawn)

    assert kept.after == min(max(wish, 1.0), 86_400.0)


@pytest.mark.parametrize(("wish", "rest"), [(0, 1.0), (600, 600.0), (3600.0, 3600.0), (90_000, 86_400.0)])
def test_wish_longer_than_the_cap_is_not_cut_to_it(wish, rest):
    assert failing(SPEC, Transient("http_429", retry_after=wish), 1, never_drawn).after == rest


@pytest.mark.parametrize("wish", [None, float("nan"), True, "soon"], ids=repr)
def test_wish_that_is_no_number_of_seconds_is_no_wish(wish):
    assert failing(SPEC, Transient("http_429", retry_after=wish), 1, highest).after == 5.0


def test_attempt_after_a_million_rests_for_the_cap():
    policy = RetryPolicy(max_attempts=10**6)

    assert [rest(policy, attempt, highest) for attempt in (1024, 1025, 10**6)] == [300.0] * 3


def test_transient_failure_is_retried_then_quarantined():
    kept = failing(SPEC, Transient("http_503"), 2, highest)

    assert kept == Failing(
        kind="transient", reason="http_503", after=10.0, keep=REASON_KEPT_FOR, quarantine=True
    )


def test_transient_failure_is_not_quarantined_on_backoff():
    spec = JobSpec(retry=RetryPolicy(on_give_up="backoff"))

    assert failing(spec, Transient("http_503"), 1, highest).quarantine is False


def test_permanent_failure_is_kept_for_failure_ttl_only():
    kept = failing(SPEC, Permanent("http_404"), 1, highest)

    assert (kept.kind, kept.reason, kept.after, kept.keep) == ("permanent", "http_404", 0.0, 77.0)


def test_configuration_failure_is_kept_for_its_waiters_only():
    kept = failing(SPEC, Configuration("http_401"), 1, highest)

    assert (kept.kind, kept.after, kept.keep) == ("configuration", 0.0, REASON_KEPT_FOR)


def test_failure_of_no_known_kind_is_tried_again():
    assert failing(SPEC, CallFailed("odd"), 1, highest).kind == "transient"


@pytest.mark.parametrize(
    ("wish", "rest"),
    [
        (0, 1.0),
        (0.25, 1.0),
        (-3, 1.0),
        (7, 7.0),
        (86_400, 86_400.0),
        (90_000, 86_400.0),
        (float("inf"), 86_400.0),
        (None, None),
        (float("nan"), None),
        ("soon", None),
    ],
)
def test_wish_of_a_job_given_back_is_from_a_second_to_a_day(wish, rest):
    assert wish_of(Postponed("rate_limited", retry_after=wish)) == rest
