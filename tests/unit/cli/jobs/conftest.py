"""The verb ``jobs``."""

import json
from functools import partial

import pytest

from askonce.announcements import Announcement
from askonce.queues import Queue


class Broker:
    """A broker whose queues have so many messages."""

    def __init__(self, before, messages):
        self._before, self._messages = before, messages

    def look(self, names):
        return [Queue(name, self._messages) for name in names]

    def before(self, name, priority, job):
        return self._before


@pytest.fixture
def verb(verb):
    return partial(verb, "jobs")


@pytest.fixture
def broker(describe):
    """Describe the broker: how many messages are before a job's, None where that is unknown."""
    return lambda before, messages: describe(Broker(before, messages))


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
