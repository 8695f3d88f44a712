"""What people see while the model's service takes no call."""

import json

import pytest

pytestmark = pytest.mark.acceptance


def waits(text):
    said = [json.loads(line) for line in text.splitlines() if line.startswith("{")]
    return [each["line"] for each in said if each.get("line", "").startswith("waiting for ")]


@pytest.fixture
def own_machine(new_machine):
    machine = new_machine(outside={"failure_rate": 0}, env={"REAP_INTERVAL": "1"})
    machine.start_worker("-P", "threads", "-c", "4")
    return machine


def subject(machine):
    return f"{machine.outside.url.removeprefix('http://')} gpt-6-luna"


@pytest.mark.long
def test_person_who_waits_is_told_once_why_and_gets_the_answers(
    own_machine, begin_submit, producer, new_meeting, eventually
):
    own_machine.outside.stop()
    asker = begin_submit(own_machine, "meetings.extract", [new_meeting() for _ in range(5)], "--wait")
    eventually(lambda: waits(asker.said()), 60)
    seen = producer(own_machine, "doctor", "--json")
    own_machine.outside.start()
    told = asker.finish()

    assert (0, 5) == (told.code, len(told.reports))
    [line] = waits(told.err)
    assert line.startswith(f"waiting for {subject(own_machine)}: connect_failed, since ")
    assert "OPENAI_BASE_URL" in line
    [away] = [found for found in seen.reports if found["name"] == "away"]
    assert ("warning", "model", 0) == (away["severity"], away["subject"], seen.code)
    assert away["text"].startswith(f"{subject(own_machine)} accepts no call since ")


@pytest.mark.long
def test_key_that_is_refused_is_an_error_of_the_doctor_until_it_is_cured(
    own_machine, begin_submit, producer, new_meeting, eventually
):
    own_machine.control(llm_key="sk-another")
    asker = begin_submit(own_machine, "meetings.extract", [new_meeting() for _ in range(4)], "--wait")
    eventually(lambda: waits(asker.said()), 60)
    seen = producer(own_machine, "doctor", "--json")
    own_machine.control(llm_key="")
    told = asker.finish()
    after = producer(own_machine, "doctor", "--json")

    assert (0, 4) == (told.code, len(told.reports))
    [line] = waits(told.err)
    assert "invalid_key" in line
    assert "OPENAI_API_KEY" in line
    [away] = [found for found in seen.reports if found["name"] == "away"]
    assert ("error", 78) == (away["severity"], seen.code)
    assert [] == [found for found in after.reports if found["name"] == "away"]
