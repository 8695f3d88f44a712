from types import SimpleNamespace

import pytest
from celery import Task
from celery.exceptions import Retry

from askonce.adapters.celery import received
from askonce.errors import StoreUnavailable


def test_message_put_back_rests_at_least_a_second(monkeypatch):
    rests = []
    monkeypatch.setattr(received.random, "uniform", lambda low, high: low)
    monkeypatch.setattr(
        Task, "apply_async", lambda _task, _args, _kwargs, *, countdown, **_: rests.append(countdown)
    )
    task = SimpleNamespace(
        signature_from_request=lambda _request, *, queue, countdown, retries: SimpleNamespace(
            args=(), kwargs={}, options={"countdown": countdown}
        )
    )

    why = StoreUnavailable(verb="start", reason="TimeoutError")
    again = received.Received(task)._put_back(SimpleNamespace(retries=0, delivery_info=None), why)

    assert isinstance(again, Retry)
    assert [pytest.approx(1.0)] == rests
