import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import openai
import pytest

from sandbox.outside.ledger import read
from tests.deadlines import stretched

pytestmark = [pytest.mark.integration, pytest.mark.long]

DEADLINE_SECONDS = 20


def ask(stand_in, text="Ana: We ship on Friday.", timeout=DEADLINE_SECONDS):
    with stand_in.openai() as client:
        return client.responses.create(model="m", input=text, timeout=stretched(timeout)).status


@pytest.fixture
def asked(stand_in):
    """Ask in a thread of its own, so many times as is said; return the futures."""
    with ThreadPoolExecutor(40) as pool:
        yield lambda times: [pool.submit(ask, stand_in, f"Ana: We ship {n}.") for n in range(times)]
        stand_in.set(hold=False, llm_latency=0)


def standing(stand_in):
    state = stand_in.state
    return state["in_slots"], state["queued"]


def test_calls_beyond_the_slots_wait_and_are_all_answered(stand_in, asked, eventually):
    stand_in.set(llm_slots=4, hold=True)
    calls = asked(12)
    eventually(lambda: standing(stand_in) == (4, 8))
    held = stand_in.state["held"]
    stand_in.set(hold=False)

    assert ["completed"] * 12 == [call.result(stretched(DEADLINE_SECONDS)) for call in calls]
    assert 4 == held
    assert (12, 0) == (read(stand_in.ledger).openai.answered, read(stand_in.ledger).openai.refused)


def test_client_that_leaves_the_queue_is_not_answered(stand_in, asked, eventually):
    stand_in.set(llm_slots=1, hold=True)
    [first] = asked(1)
    stand_in.wait_for_held(1)
    with pytest.raises(openai.APITimeoutError):
        ask(stand_in, timeout=0.2)
    eventually(lambda: standing(stand_in) == (1, 0))
    stand_in.set(hold=False)

    assert "completed" == first.result(stretched(DEADLINE_SECONDS))
    calls = read(stand_in.ledger).openai
    assert (2, 1, 1, 1, 0) == (
        calls.calls,
        calls.answered,
        calls.refused,
        calls.undelivered,
        calls.in_flight,
    )


def test_killed_client_frees_its_slot_while_the_answer_is_made(stand_in, eventually):
    stand_in.set(llm_slots=1, llm_latency=3600)
    code = (
        "from urllib.request import Request, urlopen; "
        f'urlopen(Request(\'{stand_in.url}/v1/responses\', b\'{{"model": "m", "input": "x"}}\', '
        "{'Authorization': 'Bearer k'}))"
    )
    with subprocess.Popen([sys.executable, "-c", code]) as client:
        eventually(lambda: standing(stand_in) == (1, 0))
        client.kill()
    eventually(lambda: standing(stand_in) == (0, 0))
    stand_in.set(llm_latency=0)

    assert "completed" == ask(stand_in)
    assert (1, 1) == (read(stand_in.ledger).openai.answered, read(stand_in.ledger).openai.refused)


def test_more_slots_take_calls_out_of_the_queue(stand_in, asked, eventually):
    stand_in.set(llm_slots=1, hold=True)
    asked(5)
    eventually(lambda: standing(stand_in) == (1, 4))
    stand_in.set(llm_slots=3)

    eventually(lambda: standing(stand_in) == (3, 2))


def test_most_open_calls_are_counted_from_the_start_and_from_a_reset(stand_in, asked, eventually):
    stand_in.set(hold=True)
    first = asked(5)
    stand_in.wait_for_held(5)
    during = stand_in.state["open"]
    stand_in.set(hold=False)
    [call.result(stretched(DEADLINE_SECONDS)) for call in first]
    eventually(lambda: stand_in.state["open"] == 0)
    stand_in.set(reset_most_open=True)
    ask(stand_in)

    state = stand_in.state
    assert 5 == during
    assert (0, 5, 1) == (state["open"], state["most_open"], state["most_open_since_reset"])


def test_calls_that_wait_for_a_slot_are_open(stand_in, asked, eventually):
    stand_in.set(llm_slots=1, hold=True)
    asked(3)

    eventually(lambda: stand_in.state["open"] == 3)


@pytest.mark.parametrize("wanted", [{"llm_slots": -1}, {"llm_slots": 1.5}, {"llm_slots": True}], ids=str)
def test_slots_that_cannot_be_are_refused_by_name(stand_in, wanted):
    answer = stand_in.http.post("/control", json=wanted)

    assert (400, True) == (answer.status_code, "llm_slots" in answer.json()["error"]["message"])
