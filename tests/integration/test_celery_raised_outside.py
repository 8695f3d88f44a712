from datetime import timedelta
from typing import ClassVar

import pytest
from celery.utils import uuid
from celery.worker.request import Request
from kombu.exceptions import OperationalError
from redis import DataError

from askonce.adapters.celery import letters as celery_letters
from tests.integration.test_celery_letters import OURS, publish, works_on

pytestmark = pytest.mark.integration


class Unforeseen(Request):
    """Celery's part of a task; raises what is in the list of a place, each error once."""

    faults: ClassVar = {}

    def __init__(self, *args, **options):
        self.fail_at("creation")
        super().__init__(*args, **options)

    def fail_at(self, place):
        if self.faults.get(place):
            raise self.faults[place].pop()

    def revoked(self):
        self.fail_at("way to the pool")
        return super().revoked()

    def maybe_expire(self):
        self.fail_at("expiry")
        return super().maybe_expire()

    def acknowledge(self):
        self.fail_at("success")
        super().acknowledge()

    def on_failure(self, *args, **options):
        self.fail_at("failure")
        return super().on_failure(*args, **options)


@pytest.fixture(scope="module")
def outside(new_shop):
    """An app whose tasks fail outside of their bodies, and its worker."""
    shop = new_shop("outside", broker_transport=OURS)

    @shop.app.task(name="unforeseen", shared=False, Request=Unforeseen)
    def unforeseen():
        shop.calls.make("unforeseen", 0)
        if Unforeseen.faults.get("failure"):
            raise ValueError("of the body")

    def fail_again(*_args, **_options):
        raise NameError("outside of the body")

    @shop.app.task(name="failing", shared=False, on_failure=fail_again)
    def failing():
        raise ValueError("of the body")

    @shop.app.task(name="ending", shared=False)
    def ending():
        raise SystemExit(1)

    assert {unforeseen.name, failing.name, ending.name} <= shop.app.tasks.keys()
    with shop.worker():
        yield shop


@pytest.fixture
def shop(outside):
    return outside.without_letters()


PLACES = ["creation", "expiry", "way to the pool", "success", "failure"]


def fail_at(place, errors, shop, monkeypatch):
    """Let Celery raise these *errors* at a *place* on the way of one message."""
    monkeypatch.setattr(celery_letters, "UNKEPT_REST", 0.1)
    monkeypatch.setitem(Unforeseen.faults, place, errors)
    # A message for later goes to the pool from Celery's timer.
    soon = (shop.app.now() + timedelta(seconds=0.3)).isoformat()
    late = {"expiry": {"expires": "2020-01-01T00:00:00"}, "way to the pool": {"eta": soon}}.get(place, {})

    # The worker drops each later message that has the id of an expired one.
    publish(shop, {"task": "unforeseen", "id": uuid(), **late}, b"[[],{},{}]")


@pytest.mark.parametrize("place", PLACES)
@pytest.mark.parametrize("error", [TypeError, UnboundLocalError, KeyError, DataError])
def test_message_that_fails_in_celery_is_kept(shop, number, eventually, monkeypatch, place, error):
    fail_at(place, [error("of the message")], shop, monkeypatch)
    eventually(shop.store.letters.dead_messages, 20)
    works_on(shop, number, eventually)

    assert ["invalid_task"] == [letter.reason for letter in shop.store.letters.dead_messages()]


@pytest.mark.parametrize("place", PLACES)
def test_message_that_meets_an_outage_comes_back(shop, number, eventually, monkeypatch, place):
    errors = [OperationalError("away")] * 2

    fail_at(place, errors, shop, monkeypatch)
    eventually(lambda: not errors, 20)
    works_on(shop, number, eventually)

    assert [] == shop.store.letters.dead_messages()


def test_error_of_celery_that_a_message_caused_is_no_outage(shop, number, eventually, monkeypatch):
    error = OperationalError("no.such")
    error.__cause__ = KeyError("no.such")

    fail_at("success", [error], shop, monkeypatch)
    eventually(shop.store.letters.dead_messages, 20)
    works_on(shop, number, eventually)


def test_body_that_ran_out_of_memory_has_failed_and_is_done(shop, number, eventually, monkeypatch):
    fail_at("failure", [MemoryError("Process got")], shop, monkeypatch)
    eventually(lambda: not Unforeseen.faults["failure"], 20)
    works_on(shop, number, eventually)

    assert [] == shop.store.letters.dead_messages()


@pytest.mark.parametrize("task", ["failing", "ending"])
def test_error_outside_of_a_body_holds_no_message_of_a_thread(shop, number, eventually, task):
    publish(shop, {"task": task}, b"[[],{},{}]")

    works_on(shop, number, eventually)
