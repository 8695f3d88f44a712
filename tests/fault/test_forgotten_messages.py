"""A worker gives back what Celery has forgotten: no job waits for ever, and no place is lost."""

import re

import pytest

pytestmark = [pytest.mark.fault, pytest.mark.redis_broker("has brokers of its own")]
JOBS = 3


def forgotten(stage):
    """Return how the worker had forgotten each message that it gave back."""
    return re.findall(r"message\.forgotten task=call key=\w+ .*state=(\w+)", stage.log_of(0))


@pytest.mark.parametrize("pool", ["threads", pytest.param("prefork", marks=pytest.mark.long)])
def test_job_that_is_lost_on_its_way_to_the_pool_runs(stage, pool):
    stage.start_worker("slow", pool=pool, include=("looks_often", "loses_a_job"))
    handles = stage.enqueue(JOBS)

    assert [0, 1, 2] == stage.answers(handles)

    assert [0, 1, 2] == sorted(stage.calls())
    # The only place of the worker was taken by the job that was lost.
    assert "waiting" in forgotten(stage)


def test_message_whose_end_is_lost_takes_no_place(redis_stage):
    stage = redis_stage
    stage.start_worker("slow", include=("looks_often", "loses_an_end"))
    handles = stage.enqueue(JOBS)

    assert [0, 1, 2] == stage.answers(handles)

    stage.eventually(lambda: not stage.client.exists("unacked"))
    assert [0, 1, 2] == sorted(stage.calls())
    assert "unknown" in forgotten(stage)
