from threading import Event as Signal

import pytest

from askonce import decide
from askonce.adapters.memory import MemoryStore
from askonce.background import start_thread
from askonce.claim import Claim, Terms
from askonce.decide import Policy
from askonce.decision import Run
from askonce.events import EventType
from askonce.job import Job

JOB = Job(key="0a" + "0" * 62, id="job-1", fingerprint="fp-1", task="orders", payload=b"{}")
CLAIM = Claim(JOB, Terms(queue_deadline=60.0, max_attempts=3))


@pytest.fixture
def faulty():
    """A listener that raises an error of its own class, so that no earlier test has logged it."""

    class Faulty(Exception):
        pass

    def listen(event):
        raise Faulty(event.name)

    return listen


def test_decision_is_made_although_the_listener_raises(faulty):
    try:
        decision = decide.admit(MemoryStore().admit, CLAIM, Policy.LEAVE, faulty)
    except Exception as error:  # noqa: BLE001  # the assertion shows it
        decision = error

    assert (Run, "job-1") == (type(decision), getattr(decision, "job", None))


def test_listener_that_raises_is_logged_once_for_each_event(faulty, caplog):
    store = MemoryStore()

    for _ in range(3):
        decide.admit(store.admit, Claim(JOB.under("job-2"), CLAIM.terms), Policy.LEAVE, faulty)
    for _ in range(3):
        decide.admit(store.admit, Claim(JOB.under("job-3"), CLAIM.terms), Policy.LEAVE, faulty)

    logged = [message.partition(" on ")[2].partition(";")[0] for message in caplog.messages]
    assert ["job.admitted", "job.attached"] == logged


def test_thread_goes_on_after_an_error_and_emits_its_class():
    events, again = [], Signal()
    errors = [KeyError("a payload"), None]

    def work():
        if error := errors.pop(0):
            raise error
        again.set()

    thread = start_thread("askonce-test", work, events.append)

    assert again.wait(15)
    thread.join(15)
    assert not thread.is_alive()
    assert [(EventType.THREAD_RESTARTED, {"thread": "askonce-test", "reason": "KeyError"})] == [
        (event.type, event.data) for event in events
    ]
