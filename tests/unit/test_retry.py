import random

from hypothesis import given
from hypothesis import strategies as st

from askonce.errors import CallFailed, Configuration, Permanent, Transient
from askonce.execution import Delivery
from askonce.key import identify
from askonce.record import REASON_KEPT_FOR
from askonce.retry import failing, rest
from askonce.spec import JobSpec, RetryPolicy
from askonce.store import Failing

SPEC = JobSpec(name="rates.fetch", failure_ttl=77.0, retry=RetryPolicy(base=5.0, cap=300.0))
seconds = st.floats(min_value=0.001, max_value=10_000)


def delivery(spec):
    return Delivery(spec=spec, job=identify(spec, {}))


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
    rests = [
        failing(delivery(SPEC), Transient("http_503"), attempt, highest).after for attempt in range(1, 9)
    ]

    assert rests == [5.0, 10.0, 20.0, 40.0, 80.0, 160.0, 300.0, 300.0]


@given(wish=st.floats(min_value=0, max_value=1e9), attempt=st.integers(1, 60))
def test_providers_wish_wins_over_the_draw_up_to_the_cap(wish, attempt):
    def draw(*_ends):
        raise AssertionError("drawn although the provider said when")

    kept = failing(delivery(SPEC), Transient("http_429", retry_after=wish), attempt, draw)

    assert kept.after == min(wish, 300.0)


def test_transient_failure_is_retried_then_quarantined():
    kept = failing(delivery(SPEC), Transient("http_503"), 2, highest)

    assert kept == Failing(
        kind="transient", reason="http_503", after=10.0, keep=REASON_KEPT_FOR, quarantine=True
    )


def test_transient_failure_is_not_quarantined_on_backoff():
    spec = JobSpec(retry=RetryPolicy(on_give_up="backoff"))

    assert failing(delivery(spec), Transient("http_503"), 1, highest).quarantine is False


def test_permanent_failure_is_kept_for_failure_ttl_only():
    kept = failing(delivery(SPEC), Permanent("http_404"), 1, highest)

    assert (kept.kind, kept.reason, kept.after, kept.keep) == ("permanent", "http_404", 0.0, 77.0)


def test_configuration_failure_is_kept_for_its_waiters_only():
    kept = failing(delivery(SPEC), Configuration("http_401"), 1, highest)

    assert (kept.kind, kept.after, kept.keep) == ("configuration", 0.0, REASON_KEPT_FOR)


def test_failure_of_no_known_kind_is_tried_again():
    assert failing(delivery(SPEC), CallFailed("odd"), 1, highest).kind == "transient"
