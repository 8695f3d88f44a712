"""The verb ``jobs`` on an application whose broker a test describes."""

import json
from contextlib import contextmanager

import pytest

from askonce.announcements import Announcement
from askonce.errors import BrokerUnavailable
from askonce.queues import Queue
from producer.client import Client


class Site(Client):
    """An application with a broker that a test describes."""

    broker = None

    @contextmanager
    def queues(self):
        if self.broker is None:
            raise BrokerUnavailable(reason="ConnectionRefusedError")
        yield self.broker


class Broker:
    """A broker whose queues have so many messages."""

    def __init__(self, before, messages):
        self._before, self._messages = before, messages

    def look(self, names):
        return [Queue(name, self._messages) for name in names]

    def before(self, name, priority, job):
        return self._before


@pytest.fixture
def verb(scene, run_verb):
    def run(*arguments):
        site = Site(specs={scene.spec.name: scene.spec}, store=scene.store, producer=scene.producer)
        return run_verb(site, "jobs", *arguments)

    return run


@pytest.fixture
def broker(monkeypatch):
    """Describe the broker: how many messages are before a job's, None where that is unknown."""
    return lambda before, messages: monkeypatch.setattr(Site, "broker", Broker(before, messages))


@pytest.fixture
def listed(verb):
    """Return the jobs that a list shows, by a field; the list must succeed."""

    def run(*arguments, field="currency"):
        told = verb("list", "--json", *arguments)
        assert 0 == told.exit_code, told.stderr
        return [json.loads(line) for line in told.stdout.splitlines()]

    return run


@pytest.fixture
def why(verb):
    return lambda key, *more: json.loads(verb("show", key, "--json", *more).stdout)["why"]


@pytest.fixture
def worker(scene):
    worker = Announcement(worker="w", queues=("",), tasks={scene.spec.name: "1"}, slots=1)
    scene.store.announcements.announce(worker, 60.0)
