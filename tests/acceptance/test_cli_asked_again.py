"""A failure that was given up: each command says how to ask again, and that command is answered."""

import json

import pytest

from tests.acceptance.crowds import ANSWERS, meetings

pytestmark = [pytest.mark.acceptance, pytest.mark.long]

#: The answers of the service -> the kind of the failure, its calls, and a word of its cure.
GIVEN_UP = {
    "500_openai": ("quarantined", 3, "log or status page"),
    "400_too_long_openai": ("permanent", 1, "LLM_MAX_INPUT_CHARS"),
    "200_prose": ("permanent", 2, "JSON"),
}


@pytest.mark.parametrize(
    "answer",
    [
        pytest.param(each, marks=() if each == "400_too_long_openai" else pytest.mark.long)
        for each in GIVEN_UP
    ],
)
def test_failure_that_was_given_up_says_the_command_that_asks_again(
    new_machine, producer, rows_file, eventually, answer
):
    kind, calls, word = GIVEN_UP[answer]
    outside = {"failure_rate": 0, "answers": ANSWERS, "script": {"ROW": [answer, "*"]}}
    machine = new_machine(outside=outside, env={"REAP_INTERVAL": "1", "LLM_API": "chat"})
    machine.start_worker("-P", "threads", "-c", "4")
    [meeting] = meetings(1)
    file = rows_file(meeting)

    told = producer(machine, "submit", "meetings.extract", file, "--wait")
    explained = producer(machine, "explain", "meetings.extract", file).report
    shown = producer(machine, "result", explained["key"])

    assert (kind, calls) == (explained["failure"]["kind"], machine.ledger.openai.calls)
    said = [told.complaints[0], shown.err.strip(), explained["failure"]["cure"]]
    assert [True] * 3 == [word in each for each in said]
    [command] = {each.partition("Then: python -m producer ")[2] for each in said}
    machine.control(script={})
    named = {"TASK": "meetings.extract", "FILE": str(file)}
    again = producer(machine, *(named.get(each, each) for each in command.split()))
    assert 0 == again.code, again.err
    eventually(lambda: producer(machine, "result", explained["key"]).code == 0, 30)
    assert calls + 1 == machine.ledger.openai.calls
    assert json.loads(producer(machine, "result", explained["key"]).out)["attempts"] == 1
