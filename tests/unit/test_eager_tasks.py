"""Tasks of an app without workers: ``task_always_eager``, and ``apply``."""

from decimal import Decimal

import pytest
from celery import Celery, chain, chord, group
from celery.exceptions import Reject

from askonce.adapters.celery import AskOnce, IdempotentTask
from askonce.adapters.memory import MemoryStore
from askonce.errors import JobFailed, OptionInvalid, PayloadInvalid, Permanent, Transient
from askonce.outcomes import Hit
from askonce.spec import JobSpec, RetryPolicy
from tests.deadlines import eventually

SPEC = JobSpec(retry=RetryPolicy(max_attempts=2, base=0.001))


class Shop:
    def __init__(self, **conf):
        self.app = Celery("eager", broker="memory://", set_as_current=False)
        self.app.conf.update(task_always_eager=True, task_store_eager_result=False, **conf)
        self.store, self.calls, self.errors = MemoryStore(), [], []
        self.once = AskOnce(self.app, store=lambda: self.store)

        @self.app.task(name="add", base=IdempotentTask, spec=SPEC, shared=False)
        def add(n, more=1):
            self.calls.append(n)
            if self.errors:
                raise self.errors.pop(0)
            return n + more

        @self.app.task(name="total", base=IdempotentTask, spec=SPEC, shared=False)
        def total(numbers):
            return sum(numbers)

        self.add, self.total = add, total


@pytest.fixture
def shop():
    return Shop()


WAYS = {
    "delay": lambda task, n: task.delay(n).get(timeout=0),
    "delay, looked at": lambda task, n: task.delay(n).result,
    "apply_async": lambda task, n: task.apply_async((n,), countdown=60, queue="other").get(timeout=0),
    "own message": lambda task, n: task.apply_async((n,), shadow="other").get(timeout=0),
    "enqueue": lambda task, n: task.enqueue({"n": n}).result(0).value,
    "enqueue later": lambda task, n: task.enqueue({"n": n}, countdown=60).result(0).value,
    "apply": lambda task, n: task.apply((n,)).get(),
}


#: Every way to call with an option that runs in the caller.
WITH_OPTIONS = {
    "apply": lambda task, o: task.apply((7,), **o),
    "apply_async": lambda task, o: task.apply_async((7,), **o),
    "chain": lambda task, o: chain(task.s(7).set(**o), task.s()).apply_async(),
    "chain's own": lambda task, o: chain(task.s(7), task.s()).apply_async(**o),
    "chord": lambda task, o: chord([task.s(7).set(**o)], task.si(1)).apply_async(),
    "chunks": lambda task, o: task.chunks([(7,)], 1).apply_async(**o),
    "chunks, applied": lambda task, o: task.chunks([(7,)], 1).group().apply(**o),
    "chunks, set": lambda task, o: task.chunks([(7,)], 1).set(**o).apply_async(),
    "enqueue": lambda task, o: task.enqueue({"n": 7}, **o),
    "group": lambda task, o: group(task.s(7).set(**o)).apply_async(),
    "group's own": lambda task, o: group(task.s(7)).apply_async(**o),
    "map": lambda task, o: task.map([7]).apply_async(**o),
    "map, applied": lambda task, o: task.map([7]).apply(**o),
    "map, set": lambda task, o: task.map([7]).set(**o).apply_async(),
    "own message": lambda task, o: task.apply_async((7,), shadow="other", **o),
    "signature": lambda task, o: task.s(7).set(**o).apply_async(),
    "starmap": lambda task, o: task.starmap([(7,)]).apply_async(**o),
    "starmap, applied": lambda task, o: task.starmap([(7,)]).apply(**o),
}


@pytest.mark.parametrize("way", WITH_OPTIONS)
def test_eager_call_with_a_tenant_is_the_tenants(shop, way):
    WITH_OPTIONS[way](shop.add, {"tenant": "acme"})

    assert isinstance(shop.add.enqueue({"n": 7}, tenant="acme"), Hit)
    assert 7 in shop.calls
    shop.add.enqueue({"n": 7})
    assert 2 == shop.calls.count(7)


@pytest.mark.parametrize("option", [{"force": True}, {"max_age": 0.0}], ids=str)
@pytest.mark.parametrize("way", WITH_OPTIONS)
def test_eager_call_that_wants_a_new_answer_makes_it(shop, way, option):
    shop.add.apply((7,))
    eventually(lambda: shop.add.enqueue({"n": 7}).answer.age > 0)

    WITH_OPTIONS[way](shop.add, option)

    assert 2 == shop.calls.count(7)


@pytest.mark.parametrize("option", [{"tennant": "acme"}, {"tenant": 5}, {"max_age": "old"}], ids=str)
@pytest.mark.parametrize("way", WITH_OPTIONS)
def test_eager_call_with_a_wrong_option_is_refused_by_name(shop, way, option):
    with pytest.raises(OptionInvalid) as refused:
        WITH_OPTIONS[way](shop.add, option)

    assert next(iter(option)) in refused.value.option
    assert [] == shop.calls


def test_eager_job_that_its_body_rejects_ends_at_once(shop):
    @shop.app.task(name="rejecting", base=IdempotentTask, spec=SPEC, shared=False)
    def rejecting():
        shop.calls.append(1)
        raise Reject(requeue=True)

    with pytest.raises(JobFailed, match="rejected"):
        rejecting.delay().get(timeout=0)

    assert [1] == shop.calls


@pytest.mark.parametrize("way", WAYS)
def test_eager_task_answers_and_a_duplicate_calls_nothing(shop, way):
    assert [8, 8] == [WAYS[way](shop.add, 7), WAYS[way](shop.add, 7)]

    assert [7] == shop.calls
    assert isinstance(shop.add.enqueue({"n": 7}), Hit)


@pytest.mark.parametrize("way", WAYS)
def test_eager_failure_is_the_callers_error(shop, way):
    shop.errors = [Permanent("http_404")]

    if way == "delay, looked at":
        assert isinstance(WAYS[way](shop.add, 7), JobFailed)
    else:
        with pytest.raises(JobFailed, match="http_404"):
            WAYS[way](shop.add, 7)


def test_eager_call_is_tried_again(shop):
    shop.errors = [Transient("http_503")]

    assert 8 == shop.add.delay(7).get(timeout=0)
    assert [7, 7] == shop.calls


def test_eager_canvas_gives_its_answers(shop):
    assert 18 == chain(shop.add.s(7), shop.add.s(10)).delay().get()
    assert [8, 8, 9] == group(shop.add.s(7), shop.add.s(7), shop.add.s(8)).delay().get()
    assert 17 == chord([shop.add.s(7), shop.add.s(8)], shop.total.s()).delay().get()
    assert [7, 8, 8] == shop.calls


def test_eager_tenant_has_answers_of_its_own(shop):
    shop.add.apply((7,), tenant="acme")
    shop.add.apply_async((7,), shadow="other", tenant="zeta")

    assert [7, 7] == shop.calls
    assert [Hit, Hit] == [type(shop.add.enqueue({"n": 7}, tenant=tenant)) for tenant in ("acme", "zeta")]


def test_payload_that_no_message_carries_is_refused_by_apply(shop):
    with pytest.raises(PayloadInvalid, match="field=n"):
        shop.add.apply(({1, 2},)).get()


@pytest.mark.parametrize("retries", ["of the record", "of Celery"])
def test_eager_attempts_follow_without_a_rest(shop, retries):
    options = {} if retries == "of the record" else {"autoretry_for": (ConnectionError,), "max_retries": 2}
    spec, starts = JobSpec(retry=RetryPolicy(max_attempts=3, base=300.0)), []

    @shop.app.task(name="failing", base=IdempotentTask, spec=spec, shared=False, **options)
    def failing():
        starts.append(1)
        raise ConnectionError("away")

    with pytest.raises(JobFailed, match="ConnectionError"):
        failing.delay().get(timeout=0)

    assert [1, 1, 1] == starts


def test_eager_task_sees_its_headers(shop):
    seen = []

    @shop.app.task(name="looking", base=IdempotentTask, bind=True, shared=False)
    def looking(task):
        seen.append(task.request.headers["trace"])

    looking.enqueue({}, headers={"trace": "t-1"})

    assert ["t-1"] == seen


def test_eager_force_calls_again(shop):
    for _ in range(2):
        shop.add.apply((7,), force=True)
        shop.add.delay(7)

    assert [7, 7] == shop.calls


def test_option_of_apply_is_refused_by_name(shop):
    with pytest.raises(OptionInvalid, match="option=max_age"):
        shop.add.apply((7,), max_age=Decimal("nan"))


def test_eager_error_propagates_where_celery_would(shop):
    shop.app.conf.task_eager_propagates = True
    shop.errors = [Permanent("http_404")]

    with pytest.raises(JobFailed):
        shop.add.delay(7)
