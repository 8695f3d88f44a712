from types import SimpleNamespace

import pytest
from celery import Celery

from askonce.adapters.celery import AskOnce, IdempotentTask
from askonce.adapters.celery.app import ReaperStep
from askonce.adapters.memory import MemoryStore
from askonce.errors import OptionInvalid, PayloadInvalid, RecordAbsent
from askonce.handle import Handle
from askonce.outcomes import Admitted, Hit
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


def double(n):
    return 2 * n


@pytest.fixture
def lonely():
    """An app without a worker, and its AskOnce."""
    app = Celery("lonely", broker="memory://", set_as_current=False)
    return app, AskOnce(app, store=MemoryStore)


def new_task(app, name="mine", **options):
    return app.task(name=name, base=IdempotentTask, shared=False, lazy=False, **options)(double)


def test_second_askonce_of_an_app_is_refused(lonely):
    with pytest.raises(RuntimeError, match="Celery app lonely has an AskOnce"):
        AskOnce(lonely[0], store=MemoryStore)


def test_store_that_is_no_function_is_refused():
    with pytest.raises(TypeError, match="store must be a function"):
        AskOnce(Celery("other", set_as_current=False), store=MemoryStore())


def test_spec_of_another_kind_is_refused_where_the_task_is_written(lonely):
    with pytest.raises(TypeError, match="task mine: spec must be a JobSpec"):
        new_task(lonely[0], spec={})


@pytest.mark.parametrize("options", [{"tennant": "acme"}, {"exchange": "x"}], ids=["unknown", "refused"])
def test_send_task_refuses_what_the_task_refuses(lonely, options):
    new_task(lonely[0])

    with pytest.raises(OptionInvalid, match=f"option={min(options)}"):
        lonely[0].send_task("mine", (1,), **options)


def test_payload_that_is_no_mapping_is_refused(lonely):
    with pytest.raises(PayloadInvalid, match="must be a mapping, not str"):
        new_task(lonely[0]).enqueue("BRL")


def test_listening_takes_a_task_or_its_name(lonely):
    app, once = lonely
    task = new_task(app)

    assert once.listening("mine").ok is once.listening(task).ok


def test_key_of_another_task_is_as_good_as_none(lonely):
    app, once = lonely
    mine, yours = new_task(app), new_task(app, "yours")
    key = mine.enqueue({"n": 1}).key

    assert "PENDING" == mine.result(key).state
    with pytest.raises(RecordAbsent):
        yours.result(key).get(timeout=0)
    assert Status.QUEUED is Handle.from_key(once.process().store, key).status()
