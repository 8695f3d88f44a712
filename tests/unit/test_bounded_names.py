"""What a process keeps under names out of messages and records does not grow with them."""

from collections import Counter

import pytest
from celery import Celery

from askonce import events
from askonce.adapters.celery import one_step, sender
from askonce.adapters.celery.one_step import OneStep
from askonce.adapters.celery.sender import CelerySender
from askonce.adapters.memory import MemoryStore
from askonce.claim import Claim, Terms
from askonce.events import Event, EventType, emit
from askonce.spec import JobSpec
from tasks.catalog import TASKS
from tests.jobs import new_job
from worker.listeners import counts

STRANGERS = [f"no.such.{number}" for number in range(3000)]


@pytest.fixture
def counted(monkeypatch):
    monkeypatch.setattr(counts, "_counted", Counter())
    return lambda: counts.counts(None)


@pytest.fixture
def app():
    with Celery("names", broker="redis://127.0.0.1:1/0", set_as_current=False) as app:
        app.conf.task_routes = {"slow.*": {"queue": "slow"}, "topic.*": {"exchange": "t", "routing_key": "k"}}
        yield app


def test_tasks_of_strangers_share_one_counter(counted):
    for name in STRANGERS:
        counts.count(Event(type=EventType.MESSAGE_UNKNOWN_TASK, task=name))

    assert {"message.unknown_task other": len(STRANGERS)} == counted()


def test_tasks_of_the_catalog_have_their_own_counters(counted):
    for name in [task.name for task in TASKS] * 2:
        counts.count(Event(type=EventType.JOB_HIT, task=name))
    counts.count(Event(type=EventType.STORE_UP))

    assert {f"job.hit {task.name}": 2 for task in TASKS} | {"store.up": 1} == counted()


def test_listener_that_raises_a_new_class_each_time_is_logged_so_often(monkeypatch, caplog):
    monkeypatch.setattr(events, "_logged", set())

    def listen(_event):
        raise type("Odd", (Exception,), {})

    for _ in STRANGERS:
        emit(listen, EventType.STORE_UP)

    assert events._LOGGED_AT_MOST == len(caplog.records) == len(events._logged)


def test_sender_keeps_the_options_of_so_many_tasks(app):
    sending = CelerySender(app)

    assert {"celery"} == {sending.queue_of(name) for name in STRANGERS}
    assert len(sending._options) <= sender._ROUTES_KEPT
    assert "slow" == sending.queue_of("slow.one")


def test_queue_that_an_exchange_chooses_is_not_known(app):
    assert CelerySender(app).queue_of("topic.one") is None


def test_templates_of_so_many_tasks_are_kept(app, monkeypatch):
    publish = OneStep(app, store=MemoryStore(), pusher=None, sender=None)
    monkeypatch.setattr(publish, "_template", lambda task, _routing: task)
    claims = [Claim(new_job("0" * 64, task=name), Terms.of(JobSpec())) for name in STRANGERS]

    assert STRANGERS == [publish._template_of(claim) for claim in claims]
    assert len(publish._templates) <= one_step._TEMPLATES_KEPT
