from typing import get_args

import pytest

from askonce.answer import Meta, StoredValue
from askonce.errors import AnswerUnreadable
from askonce.freshness import kept_answer, last_good_answer, lets_stale_through
from askonce.record import Failure, FailureOrFallback, Snapshot

#: Whether the last good answer may be served after a failure of each kind.
LETS_THROUGH = {
    None: True,
    "transient": True,
    "quarantined": True,
    "permanent": False,
    "configuration": False,
    "fallback": False,
    "expired": True,
    "cancelled": False,
}


def record(data=b"j1", kind=None, *, fresh=False):
    meta, fresh_for = Meta(attempts=2), float(fresh)
    value = StoredValue(data=data, meta=meta, fence=7, stored_at=5.0, age=9.0, fresh_for=fresh_for)
    failure = Failure(kind=kind, reason="http_503", job="job-2", remaining=9.0) if kind else None
    return Snapshot(present=True, job="job-1", value=value, failure=failure)


def test_every_kind_of_failure_is_judged():
    assert set(LETS_THROUGH) == {None, *get_args(FailureOrFallback)}


@pytest.mark.parametrize("kind", LETS_THROUGH)
def test_stale_answer_is_let_through_by_kind(kind):
    assert lets_stale_through(kind) is LETS_THROUGH[kind]
    assert (last_good_answer("key", "job-2", record(kind=kind)) is not None) is LETS_THROUGH[kind]


def test_last_good_answer_is_marked_stale_for_its_caller():
    result = last_good_answer("key", "job-2", record(kind="transient"))

    assert (result.key, result.job, result.value, result.source) == ("key", "job-2", 1, "stale")
    assert (result.age, result.attempts, result.fence, result.stored_at) == (9.0, 2, 7, 5.0)


def test_record_without_a_value_has_no_answer():
    assert last_good_answer("key", "job-1", Snapshot()) is None
    assert kept_answer("key", Snapshot()) is None


def test_fresh_answer_is_a_hit_of_the_record_job():
    result = kept_answer("key", record(fresh=True))

    assert (result.key, result.job, result.value, result.source) == ("key", "job-1", 1, "cache")


@pytest.mark.parametrize(("data", "codec"), [(b"j{", ""), (b"?elsewhere", "?")], ids=["damaged", "codec"])
def test_unreadable_answer_is_explained_where_it_is_fresh(data, codec):
    unreadable = kept_answer("key", record(data, fresh=True))

    assert (type(unreadable), unreadable.codec) == (AnswerUnreadable, codec)
    assert last_good_answer("key", "job-1", record(data)) is None
