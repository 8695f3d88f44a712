import pytest

from tests.deadlines import stretched
from tests.jobs import new_header, new_job

pytestmark = pytest.mark.integration


def ours(commands):
    """Return our verbs, which are in small letters, but those that a worker repeats by itself."""
    return [name for name in commands if name.islower() and name not in ("reap", "announce")]


@pytest.fixture
def warm(plain, number, eventually):
    """A worker whose connections are open."""
    plain.add.enqueue({"n": number + 1}).result(stretched(10))
    eventually(plain.drained)
    return plain


def test_computed_job_costs_a_worker_two_scripts(commands, warm, number, eventually):
    def ask():
        warm.add.enqueue({"n": number})
        eventually(lambda: warm.calls.of(number) and warm.drained())

    verbs = ours(commands(ask))

    assert verbs == ["publish", "start", "complete"]


def test_answered_job_costs_a_worker_one_script(commands, warm, number, eventually):
    asked = warm.add.enqueue({"n": number})
    asked.result(stretched(10))
    fingerprint = warm.store.read([asked.key])[0].fingerprint
    headers = {"askonce": new_header(new_job(asked.key, asked.job, fingerprint=fingerprint))}
    eventually(warm.drained)

    def copy():
        warm.app.send_task("add", kwargs={"n": number, "more": 1}, task_id=asked.job, headers=headers)
        eventually(lambda: "job.reused" in warm.names(asked.job))

    verbs = ours(commands(copy))

    assert verbs == ["start"]


def test_foreign_message_of_an_answered_job_costs_one_script(commands, warm, number, eventually):
    asked = warm.add.enqueue({"n": number})
    asked.result(stretched(10))
    eventually(warm.drained)

    def ask():
        warm.app.send_task("add", (number,))
        # A message that a worker has just taken is neither in the queue nor among the unacked ones.
        eventually(lambda: "job.hit" in warm.names(asked.job) and warm.drained())

    verbs = ours(commands(ask))

    assert verbs == ["admit"]
