"""A task's own callbacks get its answer; Celery calls them with what monitors see."""

import pytest

from askonce.adapters.celery import IdempotentTask
from askonce.errors import JobFailed, Permanent
from askonce.spec import JobSpec
from tests.deadlines import eventually, stretched

pytestmark = pytest.mark.integration


@pytest.mark.parametrize("own", [KeyError, (KeyError, OSError)], ids=["class", "tuple"])
def test_expected_exceptions_of_a_task_come_beside_ours(new_shop, own):
    shop = new_shop("expecting")

    @shop.app.task(name="expecting", base=IdempotentTask, spec=JobSpec(), throws=own, shared=False)
    def expecting():
        """Do nothing."""

    assert {KeyError, JobFailed} <= set(expecting.throws)


def test_on_success_gets_the_answer(new_shop, number):
    shop, answers, returned = new_shop("answered"), [], []

    class Noting(IdempotentTask):
        abstract = True

        def on_success(self, retval, task_id, args, kwargs):
            answers.append((retval, args, kwargs))

        def after_return(self, status, retval, *_):
            if status == "SUCCESS":
                returned.append(retval)

    @shop.app.task(name="noted", base=Noting, spec=JobSpec(), shared=False)
    def noted(n):
        if n > number:
            raise Permanent("http_404")
        return {"n": n}

    with shop.worker():
        noted.delay(number).get(timeout=stretched(20))
        noted.delay(number + 1).get(propagate=False, timeout=stretched(20))
        shop.app.send_task("noted", (number,))
        eventually(lambda: len(answers) == 2 == len(returned))

    assert [{"n": number}] * 2 == returned
    assert [{"n": number}] * 2 == [answer for answer, _, _ in answers]
