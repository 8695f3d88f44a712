from types import SimpleNamespace

import pytest
from celery.exceptions import Retry

from askonce.adapters.celery import task as celery_task
from askonce.errors import StoreUnavailable


def test_message_put_back_rests_at_least_a_second(monkeypatch):
    rests = []

    def retry(*, exc, countdown, max_retries):
        rests.append(countdown)
        raise Retry

    monkeypatch.setattr(celery_task.random, "uniform", lambda low, high: low)
    task = SimpleNamespace(request=SimpleNamespace(retries=0), retry=retry)

    again = celery_task.IdempotentTask._put_back(task, StoreUnavailable(verb="start", reason="TimeoutError"))

    assert isinstance(again, Retry)
    assert [pytest.approx(1.0)] == rests
