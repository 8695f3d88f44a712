from dataclasses import FrozenInstanceError

import pytest

from askonce.spec import JobSpec, RetryPolicy

TIMES = ("soft_ttl", "hard_ttl", "failure_ttl", "lease", "queue_deadline")


def test_spec_of_defaults_is_usable():
    spec = JobSpec()

    assert (spec.version, spec.key_fields, spec.on_mismatch) == ("1", (), "replace")
    assert spec.hard_ttl >= spec.soft_ttl


@pytest.mark.parametrize("name", TIMES)
@pytest.mark.parametrize("seconds", [0, -1.5])
def test_time_that_cannot_work_is_refused_by_name(name, seconds):
    with pytest.raises(ValueError, match=f"JobSpec rates.fetch: {name} must be more than 0 seconds"):
        JobSpec(**{"name": "rates.fetch", name: seconds})


def test_answer_cannot_be_kept_shorter_than_it_is_fresh():
    with pytest.raises(ValueError, match="hard_ttl must not be shorter than soft_ttl"):
        JobSpec(soft_ttl=60, hard_ttl=59)


def test_answer_may_be_kept_as_long_as_it_is_fresh():
    assert JobSpec(soft_ttl=60, hard_ttl=60).hard_ttl == 60


def test_version_of_two_lines_is_refused():
    with pytest.raises(ValueError, match="version must be one line"):
        JobSpec(name="rates.fetch", version="1\n2")


def test_job_has_at_least_one_attempt():
    with pytest.raises(ValueError, match="max_attempts must be at least 1"):
        JobSpec(retry=RetryPolicy(max_attempts=0))


def test_spec_is_a_value():
    assert JobSpec(name="a") == JobSpec(name="a")
    assert hash(JobSpec(name="a")) == hash(JobSpec(name="a"))
    with pytest.raises(FrozenInstanceError):
        JobSpec().lease = 5.0
