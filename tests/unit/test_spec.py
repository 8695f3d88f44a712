from dataclasses import FrozenInstanceError
from decimal import Decimal
from math import inf, nan

import pytest

from askonce import record, spec
from askonce.spec import JobSpec, RetryPolicy

#: Each time of a spec, and the longest that it may be.
TIMES = {
    "soft_ttl": spec.LONGEST,
    "hard_ttl": spec.LONGEST,
    "failure_ttl": spec.LONGEST,
    "lease": spec.LONGEST_LEASE,
    "queue_deadline": spec.LONGEST_QUEUE_DEADLINE,
}
UNUSABLE = [0, -1.5, 0.0001, inf, -inf, nan, 10**400, True, "60", None, Decimal(60)]


def test_spec_of_defaults_is_usable():
    spec = JobSpec()

    assert (spec.version, spec.key_fields, spec.on_mismatch) == ("1", (), "replace")
    assert spec.hard_ttl >= spec.soft_ttl


@pytest.mark.parametrize("name", TIMES)
@pytest.mark.parametrize("seconds", UNUSABLE, ids=repr)
def test_time_that_cannot_work_is_refused_by_name(name, seconds):
    with pytest.raises(ValueError, match=rf"^JobSpec rates.fetch: {name} must be 0.001 to \d+ seconds, not "):
        JobSpec(**{"name": "rates.fetch", name: seconds})


@pytest.mark.parametrize(("name", "longest"), TIMES.items())
def test_time_may_be_as_long_as_its_limit_and_no_longer(name, longest):
    kept = {"soft_ttl": 1.0, "hard_ttl": spec.LONGEST, name: longest}

    assert getattr(JobSpec(**kept), name) == longest
    with pytest.raises(ValueError, match=f"{name} must be 0.001 to {longest:.0f} seconds"):
        JobSpec(**{**kept, name: longest + 1})


def test_longest_times_stay_whole_milliseconds_in_the_record():
    longest_wait = spec.LONGEST_QUEUE_DEADLINE * 2**record.MAX_DOUBLINGS

    assert (spec.LONGEST + longest_wait) * 1000 < 2**53
    assert record.TOMBSTONE_KEPT >= spec.LONGEST_LEASE
    assert record.FLIGHT_KEPT >= spec.LONGEST_QUEUE_DEADLINE


@pytest.mark.parametrize("name", ["base", "cap"])
@pytest.mark.parametrize("seconds", [*UNUSABLE, 86_401], ids=repr)
def test_rest_that_cannot_work_is_refused_by_name(name, seconds):
    with pytest.raises(ValueError, match=f"^RetryPolicy: {name} must be 0.001 to 86400 seconds, not "):
        RetryPolicy(**{name: seconds})


def test_answer_cannot_be_kept_shorter_than_it_is_fresh():
    with pytest.raises(ValueError, match="hard_ttl must not be shorter than soft_ttl"):
        JobSpec(soft_ttl=60, hard_ttl=59)


def test_answer_may_be_kept_as_long_as_it_is_fresh():
    assert JobSpec(soft_ttl=60, hard_ttl=60).hard_ttl == 60


def test_version_of_two_lines_is_refused():
    with pytest.raises(ValueError, match="version must be one printable line"):
        JobSpec(name="rates.fetch", version="1\n2")


@pytest.mark.parametrize("attempts", [0, -1, 2.0, inf, True, "3", 10**6 + 1], ids=repr)
def test_number_of_attempts_that_cannot_work_is_refused(attempts):
    with pytest.raises(ValueError, match=r"^RetryPolicy: max_attempts must be at least 1 and at most"):
        RetryPolicy(max_attempts=attempts)


def test_job_has_one_attempt_to_a_million():
    assert [RetryPolicy(max_attempts=n).max_attempts for n in (1, 10**6)] == [1, 10**6]


def test_spec_is_a_value():
    assert JobSpec(name="a") == JobSpec(name="a")
    assert hash(JobSpec(name="a")) == hash(JobSpec(name="a"))
    with pytest.raises(FrozenInstanceError):
        JobSpec().lease = 5.0


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("key_fields", "order_id"),
        ("key_fields", ["order_id"]),
        ("key_fields", (1,)),
        ("shown", "order_id"),
        ("shown", (1,)),
        ("shown", ("order\nid",)),
        ("version", 2),
        ("model", None),
        ("input", "x"),
        ("present", 1),
        ("retry", 3),
        ("on_mismatch", "conflcit"),
        ("on_store_down", "ignore"),
    ],
)
def test_value_of_another_kind_is_refused_by_its_name(field, value):
    with pytest.raises(ValueError, match=f"JobSpec orders: {field} must be"):
        JobSpec(name="orders", **{field: value})


def test_word_that_is_no_way_to_give_up_is_refused():
    with pytest.raises(ValueError, match="RetryPolicy: on_give_up must be quarantine or backoff"):
        RetryPolicy(on_give_up="backof")


@pytest.mark.parametrize("name", ["tenant", "key", "run"])
def test_shown_field_cannot_take_a_name_of_the_jobs_own(name):
    with pytest.raises(ValueError, match=f"JobSpec orders: shown names '{name}': that is the job's own"):
        JobSpec(name="orders", shown=("order_id", name))
