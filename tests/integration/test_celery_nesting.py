"""Tasks whose bodies call tasks, in one worker: each call is judged by its own request."""

import pytest
from celery import group

from askonce.adapters.celery import IdempotentTask, received
from askonce.adapters.celery.verdict import Verdict
from askonce.errors import JobFailed, PayloadInvalid, Permanent, StoreUnavailable, Transient
from askonce.outcomes import Admitted, Hit
from askonce.spec import JobSpec, RetryPolicy
from tests.deadlines import eventually, stretched

pytestmark = [
    pytest.mark.integration,
    # Celery's result backend speaks redis-py's older language.
    pytest.mark.filterwarnings("ignore:Call to deprecated setex:DeprecationWarning"),
]

SPEC = JobSpec(retry=RetryPolicy(max_attempts=1))


def recursive(task):
    """Tasks that call each other, as functions do."""

    @task(name="factorial")
    def factorial(n):
        return 1 if n <= 1 else n * factorial(n - 1)

    @task(name="even")
    def even(n):
        return True if n == 0 else odd(n - 1)

    @task(name="odd")
    def odd(n):
        return False if n == 0 else even(n - 1)

    return factorial, even, odd


def calling(task):
    """A task that calls one that Celery would retry."""

    @task(name="outer", bind=True)
    def outer(self, n):
        try:
            return inner(n)
        except ConnectionError as error:
            return f"{type(error).__name__} {self.request.retries}"

    @task(name="inner", autoretry_for=(ConnectionError,))
    def inner(n):
        raise ConnectionError("away")

    return outer, inner


def retrying(task, calls):
    """Tasks that name a number of retries themselves."""

    @task(name="final", bind=True)
    def final(self, n):
        try:
            raise self.retry(exc=ConnectionError("away"), max_retries=0)
        except ConnectionError:
            raise Permanent("http_404") from None

    @task(name="limited", bind=True, autoretry_for=(ConnectionError,), default_retry_delay=1, max_retries=5)
    def limited(self, n):
        calls.make("limited", n)
        raise self.retry(exc=ConnectionError("away"), max_retries=1, countdown=1)

    return final, limited


@pytest.fixture(scope="module")
def nested(new_shop, tcp_server):
    prefix = {"global_keyprefix": "nested:"}
    shop = new_shop("nested", result_backend=tcp_server.url, result_backend_transport_options=prefix)

    def task(**options):
        return shop.app.task(base=IdempotentTask, spec=SPEC, shared=False, **options)

    @shop.app.task(name="kept", base=IdempotentTask, spec=JobSpec(), shared=False, ignore_result=False)
    def kept(n):
        shop.calls.make("kept", n)
        return n + 1

    @shop.app.task(name="unkept", base=IdempotentTask, spec=JobSpec(), shared=False)
    def unkept(n):
        return n + 1

    shop.kept, shop.unkept = kept, unkept
    made = (*recursive(task), *calling(task), *retrying(task, shop.calls))
    shop.tasks = {each.name: each for each in made}
    with shop.worker():
        yield shop


def answer(shop, name, n):
    return shop.tasks[name].delay(n).get(timeout=stretched(20))


def test_body_that_calls_its_own_task_runs_it(nested):
    assert [24, 24] == [answer(nested, "factorial", 4), nested.tasks["factorial"].apply((4,)).get()]
    assert [] == nested.store.letters.dead_messages()


def test_bodies_that_call_each_other_run(nested):
    assert answer(nested, "even", 4) is True


def test_direct_call_steers_no_outer_job(nested):
    assert "ConnectionError 0" == answer(nested, "outer", 1)


def test_final_failure_after_the_last_retry_stays_final(nested):
    with pytest.raises(JobFailed) as failed:
        answer(nested, "final", 1)

    assert ("permanent", "http_404") == (failed.value.kind, failed.value.reason)


def test_number_of_retries_that_the_body_names_wins_over_autoretry(nested, number):
    with pytest.raises(JobFailed, match="ConnectionError"):
        answer(nested, "limited", number)

    assert 2 == len(nested.calls.of(number))


def test_job_that_rests_for_long_holds_no_slot(nested, number, errors):
    nested.calls.errors |= {number + n: [Transient("http_429", retry_after=600.0)] for n in range(8)}
    resting = group(nested.kept.s(number + n) for n in range(8)).delay()
    eventually(lambda: all(nested.calls.of(number + n) for n in range(8)))

    assert number + 101 == nested.kept.delay(number + 100).get(timeout=stretched(20))
    assert not resting.ready()


def test_part_that_rests_longer_than_it_waits_for_others_completes(nested, number, monkeypatch):
    monkeypatch.setattr(received, "LONGEST_REST_IN_A_SLOT", 0.5)
    # Longer than a rest in the slot, however late the worker is.
    monkeypatch.setattr(nested.kept, "attach_timeout", 3.0)
    nested.calls.errors[number] = [Transient("http_429", retry_after=4.0)]

    answers = group(nested.kept.s(number), nested.kept.s(number + 1)).delay()

    assert [number + 1, number + 2] == answers.get(timeout=stretched(30))
    assert [2, 1] == [len(nested.calls.of(number + n)) for n in (0, 1)]


def test_items_wait_for_a_store_that_is_down(nested, number, monkeypatch):
    down, admit = [], type(nested.store).admit

    def fails_once(store, claim):
        if not down:
            down.append(claim)
            raise StoreUnavailable(verb="admit", reason="TimeoutError")
        return admit(store, claim)

    monkeypatch.setattr(type(nested.store), "admit", fails_once)
    nested.add.starmap([(number, 1), (number, 2)]).apply_async()

    # The message rests for seconds, and longer each time when a busy server is too late for its worker.
    eventually(lambda: {(number, 1), (number, 2)} == {call[1:] for call in nested.calls.of(number)}, 100)
    assert down


def test_body_of_an_item_calls_other_tasks_as_functions(nested):
    factorial = nested.tasks["factorial"]
    factorial.starmap([(7,)]).apply_async()

    eventually(lambda: isinstance(factorial.enqueue({"n": 7}, countdown=600), Hit))
    assert isinstance(factorial.enqueue({"n": 6}, countdown=600), Admitted)


def test_hit_needs_no_result_backend(nested, number, monkeypatch):
    monkeypatch.setattr(nested.add, "ignore_result", False)
    assert number + 1 == nested.add.apply((number,)).get()

    def fails(*_, **__):
        raise ConnectionError("the backend is away")

    monkeypatch.setattr(nested.app.backend, "store_result", fails)

    assert number + 1 == nested.add.delay(number).get(timeout=0)
    assert isinstance(nested.add.enqueue({"n": number}), Hit)


@pytest.mark.parametrize("ignored", [False, True])
def test_call_chooses_whether_celery_keeps_its_result(nested, number, ignored):
    # A task of its own: the sender remembers how messages of a task are sent, and others change `add`.
    result = nested.unkept.apply_async((number,), ignore_result=ignored)

    assert number + 1 == result.get(timeout=stretched(20))
    kept = nested.app.backend.get_task_meta(result.id)["status"]
    assert ("PENDING" if ignored else "SUCCESS") == kept


def test_result_of_send_task_says_what_it_needs(nested, number):
    with pytest.raises(ValueError, match="needs a result backend"):
        nested.app.send_task("add", (number,)).get(timeout=stretched(20))


def test_job_that_expired_is_not_made_for_its_late_message(nested, number, monkeypatch):
    monkeypatch.setattr(nested.add, "ignore_result", False)
    late = nested.add.apply_async((number,), expires=0.001, queue="later")
    eventually(lambda: not nested.store.reap([int(late.key[:2], 16)]) and late.ready())
    nested.app.control.add_consumer("later", reply=True)

    with pytest.raises(JobFailed, match="kind=expired"):
        late.get(timeout=stretched(20))
    nested.app.control.cancel_consumer("later", reply=True)
    assert [] == nested.calls.of(number)


def test_fields_that_a_body_cannot_take_are_refused(nested):
    def taking(self, **fields):
        """Take any field but its own first argument."""

    def placed(a, /):
        """Take no field by name."""

    bound = nested.app.task(name="bound", base=IdempotentTask, bind=True, shared=False)(taking)
    unnamed = nested.app.task(name="unnamed", base=IdempotentTask, shared=False)(placed)

    for call in (lambda: bound.enqueue({"self": 1}), lambda: unnamed.delay(1)):
        with pytest.raises(PayloadInvalid):
            call()


def test_generator_that_no_worker_awaits_is_refused(nested):
    async def rows():
        yield 1

    with pytest.raises(TypeError, match="must be a plain function"):
        nested.app.task(name="rows", base=IdempotentTask, shared=False, lazy=False)(rows)


def test_callback_of_a_mixin_gets_the_answer(new_shop, number):
    got = []

    class Mixin:
        def on_success(self, retval, *_):
            got.append(retval)

    class Noting(Mixin, IdempotentTask):
        abstract = True

    task = new_shop("mixed").app.task(name="mixed", base=Noting, shared=False, lazy=False)(same)
    task.apply((number,))
    answer = task.enqueue({"n": number}).answer

    task.on_success(Verdict("done", answer.key, answer), "id", (), {})

    assert number == got[-1]


def same(n):
    return n
