import pytest

from tests.chaos.checks import (
    Call,
    Evidence,
    Ledger,
    explain_calls,
    repeated_admissions,
    started_while_paused,
)
from tests.chaos.history import Op
from tests.chaos.processes import Pausing


def start(when, tenant="", outcome="granted"):
    return Op("s", "start", {"task": "t", "tenant": tenant}, when, when + 0.1, outcome)


def pause(scope, name=""):
    return Pausing(scope, name, 1.0, 3.0)


@pytest.mark.parametrize("held", [pause("all"), pause("task", "t"), pause("tenant", "acme")])
def test_check_finds_a_start_during_its_pause(held):
    begun = start(2, "acme")

    assert [("k", begun)] == started_while_paused({"k": [begun]}, [held])


@pytest.mark.parametrize(
    ("begun", "held"),
    [
        (start(0.95), pause("all")),
        (start(2.95), pause("all")),
        (start(2, "other"), pause("tenant", "acme")),
        (start(2, outcome="paused"), pause("all")),
    ],
)
def test_check_allows_a_start_that_no_pause_held_for_certain(begun, held):
    assert [] == started_while_paused({"k": [begun]}, [held])


def explained(repeated):
    before = Call(1, "k", "j", 10, 1.0, "answer", 1.5)
    after = Call(2, "k", "j", 10, 5.0, "answer", 5.5)
    ledger = Ledger([before, after], [], {})
    return explain_calls(Evidence(ledger, {}, [], {}, repeated))


def test_call_of_a_job_admitted_twice_is_explained():
    sent = {"job": "j"}
    twice = {"k": [Op("a.1", "admit", sent, 0.5), Op("b", "admit", sent, 4.0, 4.1, "hit")]}

    reasons, unexplained = explained(repeated_admissions(twice))

    assert {"admitted twice": 1} == reasons
    assert not unexplained


def test_call_of_a_message_that_nobody_had_admitted_and_that_came_twice_is_explained():
    sent = {"job": "j"}
    # The sender had no reply; a worker admits the message, and much later its copy.
    unheard = [Op("a.1", "admit", sent, -9.0), Op("a.2", "admit", sent, -9.0)]
    copies = [Op("b", "admit", sent, 0.8, 0.9, "admitted"), Op("c", "admit", sent, 4.0, 4.1, "admitted")]

    reasons, unexplained = explained(repeated_admissions({"k": unheard + copies}))

    assert {"admitted twice": 1} == reasons
    assert not unexplained


def test_call_of_a_job_whose_sender_had_a_reply_is_not_explained_by_a_worker_that_admits_it():
    sent = {"job": "j"}
    ops = [Op("b", "admit", sent, 0.8, 0.9, "admitted"), Op("c", "admit", sent, 4.0, 4.1, "admitted")]

    reasons, unexplained = explained(repeated_admissions({"k": ops}))

    assert {"nothing": 1} == reasons
    assert 1 == len(unexplained)


def test_call_of_a_job_admitted_once_is_not_explained():
    reasons, unexplained = explained({})

    assert {"nothing": 1} == reasons
    assert 1 == len(unexplained)
