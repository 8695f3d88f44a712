import csv
import random
import subprocess
from contextlib import suppress
from pathlib import Path

import pytest

from tests.acceptance.outputs import cost_of, lines, told_of
from tests.deadlines import stretched

pytestmark = [pytest.mark.acceptance, pytest.mark.timeout(240)]

ORDERS, CUSTOMERS, MEETINGS = 412, 59, 8


@pytest.fixture
def submit_all(producer, real_data):
    """Submit both files and wait; returns the reports of all rows."""

    def run(machine):
        patience = ("--wait", "--timeout", stretched(80))
        files = {"orders.enrich": "orders.jsonl", "meetings.extract": "meetings.jsonl"}
        told = [
            producer(machine, "submit", task, Path(real_data) / file, *patience, "--json")
            for task, file in files.items()
        ]
        assert [0, 0] == [one.code for one in told], [one.err for one in told]
        return [report for one in told for report in one.reports]

    return run


@pytest.mark.long
@pytest.mark.parametrize(
    "pool", [("-P", "threads", "-c", "32"), ("-P", "prefork", "-c", "2")], ids=["threads", "prefork"]
)
def test_second_submission_of_real_data_makes_no_call(new_machine, submit_all, real_data, pool):
    machine = new_machine(outside={"failure_rate": 0, "customers": Path(real_data) / "customers.csv"})
    machine.start_worker(*pool)

    first = submit_all(machine)
    paid = machine.ledger
    second = submit_all(machine)

    assert ORDERS + MEETINGS == len(first) == len({report["key"] for report in first})
    assert (CUSTOMERS, MEETINGS) == (paid.customers.calls, paid.openai.calls)
    assert paid == machine.ledger
    assert [report["result"] for report in first] == [report["result"] for report in second]
    assert {"admitted"} == {report["asked"] for report in first}
    assert {"hit"} == {report["asked"] for report in second}
    assert names_in(Path(real_data) / "customers.csv") >= names_in_answers(first[:ORDERS])


def names_in(path):
    with path.open(encoding="utf-8", newline="") as file:
        return {(int(row["cliente_id"]), row["cliente_nome"]) for row in csv.DictReader(file)}


def names_in_answers(reports):
    return {(report["result"]["cliente_id"], report["result"]["cliente_nome"]) for report in reports}


@pytest.mark.long
def test_run_that_is_killed_ten_times_pays_for_each_real_meeting_once(
    new_machine, start, producer, real_data, tmp_path
):
    # Calls are held for longer than a real one takes.
    machine = new_machine(env={"LLM_TIMEOUT": "900"})
    machine.start_worker("-P", "threads", "-c", "1")
    machine.control(hold=True, llm_latency=1.0)
    rows, out = tmp_path / "rows.jsonl", tmp_path / "out.jsonl"
    rows.write_bytes(2 * (Path(real_data) / "meetings.jsonl").read_bytes())
    command, draws = ("submit", "meetings.extract", rows, "--out", out), random.Random(1)
    paid = []

    for with_a_call in draws.sample([True] * 4 + [False] * 6, 10):
        running = start(machine, "-m", "producer", *map(str, command))
        if with_a_call:
            assert machine.wait_for_held(1, stretched(30))
            machine.control(hold=False)
            machine.control(hold=True)
        with suppress(subprocess.TimeoutExpired):
            running.process.wait(draws.uniform(0.0, 3.0))
        running.close()
        paid.append(machine.ledger.openai.answered)
    machine.control(hold=False, llm_latency=0.0)
    told, whole = producer(machine, *command), tmp_path / "whole.jsonl"
    calls = machine.ledger.openai
    producer(machine, *command[:-1], whole)

    assert 0 == told.code, told.err
    assert 0 < paid[-1] <= MEETINGS * 2 / 3
    assert (MEETINGS, MEETINGS) == (calls.calls, calls.answered)
    assert [*range(1, 2 * MEETINGS + 1)] == [line["row"] for line in lines(out)]
    assert told_of(whole) == told_of(out)
    assert cost_of(out) == pytest.approx((calls.input_tokens + 4 * calls.output_tokens) / 1e6, abs=1e-6)
    assert machine.ledger.openai == calls
