"""A run that was sent by mistake, as its caller ends it."""

import pytest

from tests.acceptance.crowds import POOLS, meetings
from tests.acceptance.outputs import lines
from tests.deadlines import stretched

pytestmark = [pytest.mark.acceptance, pytest.mark.timeout(240)]

TASK = "meetings.extract"
ROWS, SHARED = 1_000, 100


@pytest.mark.long
def test_cancelled_run_is_paid_for_only_where_another_run_asked_too(
    new_machine, producer, rows_file, tmp_path
):
    machine, rows, out = new_machine(), meetings(ROWS), tmp_path / "day.jsonl"
    day = rows_file(*rows[-SHARED:])
    assert 0 == producer(machine, "submit", TASK, rows_file(*rows), "--run", "night", "--max-queued", 0).code
    assert 0 == producer(machine, "submit", TASK, day, "--run", "day").code

    told = producer(machine, "cancel", "night")
    machine.start_worker(*POOLS["threads"])
    again = producer(machine, "submit", TASK, day, "--out", out, "--timeout", stretched(90))

    shared = f"{SHARED} left to another run that asked for them too"
    assert (0, f"night: {ROWS - SHARED} cancelled, {shared}\n") == (told.code, told.out)
    assert (0, ["done"] * SHARED) == (again.code, [line["status"] for line in lines(out)])
    # The messages of the cancelled jobs came before theirs, and made no call.
    calls = machine.ledger.openai
    assert (SHARED, SHARED, 0) == (calls.calls, calls.answered, calls.surplus)
