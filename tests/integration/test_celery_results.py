"""``delay(...).get()`` reads the record, with a result backend and without one."""

import copy
import pickle
from contextlib import contextmanager

import pytest
from celery import group
from celery.exceptions import TimeoutError as CeleryTimeoutError
from celery.result import ResultSet

from askonce.errors import JobFailed, RecordAbsent
from askonce.handle import Handle
from tests.deadlines import eventually, stretched

pytestmark = [
    pytest.mark.integration,
    # Celery's result backend speaks redis-py's older language.
    pytest.mark.filterwarnings("ignore:Call to deprecated setex:DeprecationWarning"),
]


@pytest.fixture(scope="module", params=["no backend", "a backend", "a backend that keeps the answers"])
def shop(request, new_shop, tcp_server):
    """An app with a worker; with a backend or without."""
    prefix = {"global_keyprefix": "backed:"}
    backed = {"result_backend": tcp_server.url, "result_backend_transport_options": prefix}
    shop = new_shop(request.param.replace(" ", "-"), **({} if request.param == "no backend" else backed))
    shop.add.ignore_result = request.param != "a backend that keeps the answers"
    with shop.worker():
        yield shop


def get(result):
    return result.get(timeout=stretched(20))


def test_delay_gets_the_answer_of_its_job(shop, number):
    first = shop.add.delay(number)

    assert number + 1 == get(first)
    assert ("SUCCESS", True, number + 1) == (first.state, first.successful(), first.result)
    assert number + 1 == get(shop.add.delay(number))
    assert 1 == len(shop.calls.of(number))


def test_result_follows_a_job_under_way(shop, number, gate):
    shop.calls.gates[number] = gate
    result = shop.add.delay(number)
    eventually(lambda: "STARTED" == result.state)

    with pytest.raises(CeleryTimeoutError):
        result.get(timeout=0.01)
    assert not result.ready()
    gate.set()

    eventually(result.ready)
    assert number + 1 == result.result


def test_failed_job_is_its_results_error(shop, number, errors):
    shop.calls.errors[number] = [errors["permanent"]]
    result = shop.add.delay(number)

    with pytest.raises(JobFailed) as caught:
        get(result)

    assert ("permanent", "http_404") == (caught.value.kind, caught.value.reason)
    assert ("FAILURE", True) == (result.state, result.failed())
    assert isinstance(result.get(propagate=False), JobFailed)


def test_failure_that_is_kept_is_the_results_error_at_once(shop, number, errors):
    shop.calls.errors[number] = [errors["permanent"]]
    shop.add.delay(number).get(propagate=False, timeout=stretched(20))

    again = shop.add.delay(number)

    with pytest.raises(JobFailed):
        again.get(timeout=0)
    assert 1 == len(shop.calls.of(number))


def test_result_set_of_equal_calls_gives_each_its_answer(shop, number):
    results = ResultSet([shop.add.delay(number), shop.add.delay(number)])
    results.add(shop.add.delay(number, 2))
    results.add(shop.add.delay(number))
    results.update([shop.add.delay(number)])

    expected = [number + 1, number + 1, number + 2, number + 1, number + 1]
    assert expected == results.get(timeout=stretched(20))


def test_callbacks_of_get_are_called(shop, number):
    got, looked = [], []
    result = shop.add.delay(number)

    result.get(
        timeout=stretched(20),
        callback=lambda *answer: got.append(answer),
        on_interval=lambda: looked.append(1),
        interval=0.01,
    )

    assert [(result.id, number + 1)] == got
    assert looked
    with pytest.raises(ValueError, match="on_message"):
        result.get(on_message=print)


def test_result_is_found_again_by_its_key(shop, number):
    key = shop.add.delay(number).key

    found = shop.add.result(key)

    assert number + 1 == get(found)
    assert number + 1 == Handle.from_key(shop.store, key).result(0).value
    assert key == shop.add.enqueue({"n": number}).key


def test_failure_is_found_again_by_its_key(shop, number, errors):
    shop.calls.errors[number] = [errors["permanent"]]
    result = shop.add.delay(number)
    result.get(propagate=False, timeout=stretched(20))

    with pytest.raises(JobFailed, match="http_404"):
        get(shop.add.result(result.key))


def test_key_without_a_record_is_named(shop):
    with pytest.raises(RecordAbsent, match="key=" + "0" * 64):
        get(shop.add.result("0" * 64))


@pytest.mark.parametrize(
    "again", [copy.copy, lambda result: pickle.loads(pickle.dumps(result))], ids=["copy", "pickle"]
)  # its own
def test_copy_of_a_result_follows_the_same_job(shop, number, again):
    shop.app.set_current()  # a pickled task is found by its name in the current app

    assert number + 1 == get(again(shop.add.delay(number)))


@contextmanager
def refused_unless_kept(shop):
    """Expect an error that names what is missing, where Celery keeps no answers."""
    if not shop.add.ignore_result:
        yield
        return
    with pytest.raises(ValueError, match="needs a result backend, and ignore_result=False of add"):
        yield


def test_result_by_hand_needs_a_backend_that_keeps_it(shop, number):
    by_hand = shop.add.AsyncResult(shop.add.delay(number).id)

    with refused_unless_kept(shop):
        assert number + 1 == get(by_hand)
    with refused_unless_kept(shop):
        assert "SUCCESS" == by_hand.state


def test_group_whose_results_are_not_kept_does_not_hang(shop, number):
    with refused_unless_kept(shop):
        assert [number + 1, number + 2] == get(group(shop.add.s(number), shop.add.s(number, 2)).delay())
