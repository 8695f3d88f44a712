from types import SimpleNamespace

import pytest

from askonce.adapters.celery.app import ReaperStep
from askonce.enqueue import Admitted, Hit
from askonce.record import Status
from tests.deadlines import stretched

pytestmark = pytest.mark.integration


def test_two_apps_on_one_server_do_not_see_each_other(new_shop, number):
    one, two = new_shop("one"), new_shop("two")
    first, second = one.add.enqueue({"n": number}), two.add.enqueue({"n": number})

    with one.worker():
        answer = first.result(stretched(10))

    assert (type(first), type(second)) == (Admitted, Admitted)
    assert first.key == second.key
    assert answer.value == number + 1
    assert two.store.read([second.key])[0].status is Status.QUEUED
    assert two.calls.of(number) == []
    with two.worker():
        assert second.result(stretched(10)).job == second.job
    assert isinstance(two.add.enqueue({"n": number}), Hit)


@pytest.mark.parametrize("end", ["stop", "terminate"])
def test_worker_that_ends_ends_its_reaper(new_shop, end):
    shop = new_shop("ends")
    worker = SimpleNamespace(app=shop.app)
    step = ReaperStep(worker)
    step.start(worker)
    reaper = shop.once.process().reaper
    thread = reaper._thread

    getattr(step, end)(worker)

    alive = thread.is_alive()
    reaper.stop()
    assert not alive
