"""Verbs of the command line, on an application whose broker a test describes."""

from contextlib import contextmanager

import pytest

from askonce.errors import BrokerUnavailable
from producer.client import Client


class Site(Client):
    """An application; its broker is away until a test describes one."""

    broker = None

    @contextmanager
    def queues(self):
        if self.broker is None:
            raise BrokerUnavailable(reason="ConnectionRefusedError")
        yield self.broker


@pytest.fixture(autouse=True)
def known_user(monkeypatch):
    """Who types: ``ana@laptop``."""
    monkeypatch.delenv("SUDO_USER", raising=False)
    monkeypatch.setattr("getpass.getuser", lambda: "ana")
    monkeypatch.setattr("socket.gethostname", lambda: "laptop")


@pytest.fixture
def verb(scene, run_verb):
    """Run a verb on the scene's store."""

    def run(*arguments):
        site = Site(specs={scene.spec.name: scene.spec}, store=scene.store, producer=scene.producer)
        return run_verb(site, *map(str, arguments))

    return run


@pytest.fixture
def describe(monkeypatch):
    """Let the application have this broker; return it."""

    def describe(broker):
        monkeypatch.setattr(Site, "broker", broker)
        return broker

    return describe
