import csv
from pathlib import Path

import pytest

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
