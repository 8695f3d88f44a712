"""Copies of a message that was sent while the store was down: the worker that gets it admits its job."""

import pytest

from askonce.adapters.celery import IdempotentTask
from askonce.key import identify
from askonce.message import Message
from askonce.record import Status
from askonce.spec import JobSpec
from tests.deadlines import eventually

pytestmark = [
    pytest.mark.integration,
    # Celery's result backend speaks redis-py's older language.
    pytest.mark.filterwarnings("ignore:Call to deprecated setex:DeprecationWarning"),
]


@pytest.fixture(scope="module")
def shop(new_shop, tcp_server):
    prefix = {"global_keyprefix": "copies:"}
    shop = new_shop("copies", result_backend=tcp_server.url, result_backend_transport_options=prefix)
    shop.tasks = {keeps: brief(shop, f"brief.{keeps}", keeps_results=keeps) for keeps in (False, True)}
    with shop.worker():
        yield shop


def brief(shop, name, *, keeps_results):
    """Make a task whose answers are too old in a moment."""
    options = {"base": IdempotentTask, "spec": JobSpec(soft_ttl=0.05), "ignore_result": not keeps_results}

    @shop.app.task(name=name, shared=False, **options)
    def call(n):
        shop.calls.make(name, n)
        return n

    return call


@pytest.mark.parametrize("keeps_results", [False, True])
@pytest.mark.parametrize("drawn", [True, False], ids=["drawn", "chosen"])
def test_copy_calls_again_only_where_its_id_may_be_a_new_request(shop, number, ended, keeps_results, drawn):
    job = identify(shop.tasks[keeps_results].job_spec, {"n": number})

    for delivery in (1, 2):
        shop.once.sender.send(Message(job, admitted=False, drawn=drawn))
        eventually(lambda: delivery == ended.count(("SUCCESS", job.id)))  # noqa: B023  # called at once
        eventually(lambda: Status.STALE is shop.store.read([job.key])[0].status)

    assert (1 if drawn else 2) == len(shop.calls.of(number))
