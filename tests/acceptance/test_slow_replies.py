"""A reply that never ends: its call does, and the rows behind it are answered."""

import pytest

from askonce.record import Status
from tests.acceptance.crowds import ANSWERS, meetings
from tests.records import open_records

pytestmark = [pytest.mark.acceptance, pytest.mark.long]

#: Seconds of a call.
TIMEOUT = 2.0


@pytest.fixture
def machine(new_machine):
    script = {"BAD": ["trickled", "*"]}
    machine = new_machine(
        outside={"answers": ANSWERS, "script": script, "llm_rate_headers": False},
        env={"LLM_TIMEOUT": str(TIMEOUT), "REAP_INTERVAL": "1"},
    )
    machine.start_worker("-P", "threads", "-c", "2")
    return machine


def test_rows_are_answered_while_all_slots_had_replies_that_never_end(
    machine, submit, begin_submit, eventually
):
    submit(machine, "meetings.extract", meetings(2, "BAD"))
    eventually(lambda: 2 == machine.control()["open"], 30)

    keys = [row["key"] for row in submit(machine, "meetings.extract", meetings(3, "GOOD")).reports]
    store = open_records(machine.valkey.url, "jobs")
    eventually(lambda: {Status.DONE} == {each.status for each in store.read(keys)}, TIMEOUT + 10)
    store.close()

    assert {1} == set(machine.ledger.openai.by_content.values())


def test_row_whose_replies_never_end_closes_its_connections_and_ends(machine, submit, eventually):
    told = submit(machine, "meetings.extract", meetings(1, "BAD"), "--wait")

    error = told.report["error"]
    assert ("quarantined", 3) == (error["kind"], error["attempts"])
    assert "timeout" == error["reason"].partition("@")[0]
    eventually(lambda: 0 == machine.control()["open"], 10)
    assert (3, 3) == (machine.ledger.openai.calls, machine.ledger.openai.undelivered)
