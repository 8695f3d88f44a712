"""What the pace of a real process asks its store, and what a fork of it shares."""

import os
import threading

import pytest
from redis.connection import AbstractConnection

from askonce.adapters.redis import RedisStore
from askonce.pace import Pace, Provider
from sandbox.valkey import Valkey
from tests.deadlines import eventually
from tests.integration.test_forks import in_a_child
from worker.process import PerProcess

pytestmark = pytest.mark.integration


@pytest.fixture
def senders(monkeypatch):
    """The thread of each write to a socket."""
    seen, send = [], AbstractConnection.send_packed_command

    def noting(self, command, *args, **options):
        seen.append(threading.current_thread().name)
        return send(self, command, *args, **options)

    monkeypatch.setattr(AbstractConnection, "send_packed_command", noting)
    return seen


@pytest.fixture
def new_pace():
    """Make a pace on a server of its own: its thread goes on after the test, and others look at all keys."""
    provider = Provider(board="service", first=64.0)
    with Valkey() as server:
        yield lambda: Pace(RedisStore.from_url(server.url, namespace="test").boards, provider)


def test_calls_in_turn_make_no_command_of_their_own(new_pace, senders):
    pace = new_pace()
    # What the pace's thread asks at its start is no call's.
    pace.call("first", lambda _turn: None)
    senders.clear()

    for number in range(100):
        pace.call(f"job-{number}", lambda _turn: None)

    assert threading.current_thread().name not in senders
    assert len(senders) < 100
    eventually(lambda: pace.state.accepted == 101)


def test_two_processes_follow_one_state(new_pace):
    paces = [new_pace() for _ in range(2)]
    for number, pace in enumerate(paces):
        pace.call(f"job-{number}", lambda _turn: None)
    paces[0].remember("form", "text")

    eventually(lambda: [2, 2] == [pace.state.accepted for pace in paces])
    eventually(lambda: paces[1].state.remembered == {"form": "text"})


def test_forked_child_has_a_pace_and_a_thread_of_its_own(new_pace):
    kept = PerProcess(new_pace)
    kept.get().call("job", lambda _turn: None)

    def look():
        pace = kept.get()
        answer = pace.call("job", lambda turn: turn.among)
        return {"member": pace._member._id, "alive": pace._member._thread.is_alive(), "among": answer}

    seen = in_a_child(look)

    assert {"member", "alive", "among"} == seen.keys()
    assert seen["member"] != kept.get()._member._id
    assert (True, 1) == (seen["alive"], seen["among"])


def test_pace_that_was_built_before_a_fork_does_not_wait_for_its_thread(new_pace):
    pace = new_pace()
    pace.call("job", lambda _turn: None)

    def look():
        pace.call("job", lambda _turn: None)
        thread = pace._member._thread
        return {"alive": thread.is_alive(), "open": pace.open, "pid": os.getpid()}

    seen = in_a_child(look)

    assert (True, 0) == (seen["alive"], seen["open"])
    assert os.getpid() != seen["pid"]
