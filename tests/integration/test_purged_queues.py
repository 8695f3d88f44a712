"""What a purge means: messages are gone, and their jobs run all the same."""

import pytest

from askonce import JobSpec
from askonce.adapters.celery import IdempotentTask
from askonce.adapters.celery.queues import open_queues
from tests.deadlines import stretched

pytestmark = [pytest.mark.integration, pytest.mark.long]


def double(n):
    return 2 * n


@pytest.fixture(scope="module")
def shop(new_shop):
    shop = new_shop("purged")
    spec = JobSpec(queue_deadline=0.5)
    shop.app.task(name="double", base=IdempotentTask, spec=spec, shared=False)(double)
    return shop


def test_job_whose_message_was_purged_is_sent_again_and_runs(shop):
    asked = shop.app.tasks["double"].enqueue({"n": 21})
    with open_queues(shop.app) as queues:
        assert (["purged"], 1) == (list(queues.names), queues.purge("purged"))
        assert [0] == [each.messages for each in queues.look(["purged"])]

    with shop.worker():
        answer = asked.result(stretched(30))

    assert 42 == answer.value
    assert "job.resent" in shop.names(asked.job)
