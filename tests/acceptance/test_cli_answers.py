import json
import os

import pytest

from tests.deadlines import stretched

pytestmark = pytest.mark.acceptance

COST = {"cost_usd", "avoided_usd", "usage", "calls", "attempts", "seconds", "age"}
FIELDS = {"degraded", "row", "id", "status", "asked", "key", "job", "source", "result", "error"} | COST
FIELDS |= {"later_row", "source_reason"}


@pytest.fixture
def explain(machine, producer):
    """What `explain` tells of one payload given as JSON; fails when it shows the answer."""

    def ask(payload, on=machine, task="orders.enrich"):
        told = producer(on, "explain", task, json.dumps(payload))
        assert (0, "") == (told.code, told.err)
        assert "Cliente" not in told.out
        return told.report

    return ask


@pytest.fixture
def held_order(machine, begin_submit, new_order):
    """An order in the middle of its call, and its asker."""
    order = new_order()
    machine.control(hold=True)
    asker = begin_submit(machine, "orders.enrich", [order], "--wait")
    assert machine.wait_for_held(1, stretched(30))
    return order, asker


def test_json_prints_one_object_for_each_row(machine, producer, rows_file, new_order):
    order = new_order()
    path = rows_file(order, new_order(), b"{", order, b"")

    told = producer(machine, "submit", "orders.enrich", path, "--wait", "--json")

    assert [1, 2, 3, 4] == [report["row"] for report in told.reports]
    assert all(report.keys() == FIELDS for report in told.reports)
    assert ["done", "done", "invalid", "done"] == [report["status"] for report in told.reports]
    *sources, again = [report["source"] for report in told.reports]
    # The first row's answer may be there before the last row is read.
    assert (["call", "call", None], True) == (sources, again in ("call", "cache"))
    assert [False, False, True, False] == [report["result"] is None for report in told.reports]
    assert [True, True, False, True] == [report["error"] is None for report in told.reports]
    assert told.reports[0]["job"] == told.reports[3]["job"]


def test_without_json_only_the_answers_are_printed(machine, producer, rows_file, new_order):
    order = new_order()

    told = producer(machine, "submit", "orders.enrich", rows_file(order, b"{"), "--wait")

    assert 1 == told.code
    assert f"Cliente {order['cliente_id']}" == told.report["cliente_nome"]
    assert "2 rows: 1 done, 1 invalid" == told.total


def test_explain_before_the_first_enqueue(explain, new_order):
    order = new_order()

    told = explain(order)

    assert {"order_id": order["order_id"]} == told["identity"]
    assert ("key fields", "orders.enrich") == (told["identity_is"], told["task"])
    assert ("absent", None, None, True) == (
        told["state"].lower(),
        told["job"],
        told["holder"],
        told["would_call"],
    )


def test_explain_while_the_job_is_queued(idle_machine, explain, submit, new_order):
    order = new_order()
    asked = submit(idle_machine, "orders.enrich", [order]).report

    told = explain(order, on=idle_machine)

    assert ("queued", asked["key"], asked["job"]) == (told["state"].lower(), told["key"], told["job"])
    assert 0 < told["queue_deadline_seconds"] <= 60
    assert (None, None, False) == (told["holder"], told["lease_left_seconds"], told["would_call"])


def test_explain_while_the_job_runs_names_holder_and_lease(machine, explain, held_order):
    order, asker = held_order

    told = explain(order)
    machine.control(hold=False)

    assert "running" == told["state"].lower()
    assert f"{os.uname().nodename}:{machine.workers[0].pid}" == told["holder"]
    assert 0 < told["lease_left_seconds"] <= 30
    assert (1, False) == (told["attempts"], told["would_call"])
    assert 0 == asker.finish().code


def test_explain_after_the_answer_shows_its_age_and_not_the_answer(explain, machine, submit, new_order):
    order = new_order()
    done = submit(machine, "orders.enrich", [order], "--wait").report

    told = explain(order)
    same = explain({**order, "total": 2.5})
    other = explain({**order, "cliente_id": 0})

    assert ("done", done["key"], False) == (told["state"].lower(), told["key"], told["would_call"])
    assert 0 <= told["answer_age_seconds"] < 60
    assert (told["fingerprint"], False) == (same["fingerprint"], same["would_call"])
    assert (done["key"], True) == (other["key"], other["would_call"])
    assert told["fingerprint"] != other["fingerprint"]


def test_explain_reads_a_file_and_shows_no_answer(machine, producer, submit, rows_file, new_order):
    asked, new = new_order(), new_order()
    submit(machine, "orders.enrich", [asked], "--wait")

    told = producer(machine, "explain", "orders.enrich", rows_file(asked, new))

    assert [(1, "done"), (2, "absent")] == [(row["row"], row["state"].lower()) for row in told.reports]
    assert "Cliente" not in told.out


def test_result_of_an_unknown_key_ends_with_1(machine, producer):
    told = producer(machine, "result", "0" * 64)

    assert (1, "") == (told.code, told.out)
    [complaint] = told.complaints
    assert complaint.lower().endswith("no answer, the job is absent")


def test_result_of_a_queued_job_ends_with_75(idle_machine, producer, submit, new_order):
    asked = submit(idle_machine, "orders.enrich", [new_order()]).report

    told = producer(idle_machine, "result", asked["key"])

    assert (75, "") == (told.code, told.out)
    assert told.err.strip().lower().endswith("the job is queued")


def test_result_of_a_running_job_ends_with_75(machine, producer, explain, held_order):
    order, asker = held_order

    told = producer(machine, "result", explain(order)["key"])
    machine.control(hold=False)

    assert (75, "") == (told.code, told.out)
    assert told.err.strip().lower().endswith("the job is running")
    assert 0 == asker.finish().code


def test_result_of_a_finished_job_is_its_answer_without_the_row(machine, producer, submit, new_order):
    order = new_order()
    done = submit(machine, "orders.enrich", [order], "--wait").report

    told = producer(machine, "result", done["key"])

    assert 0 == told.code
    assert (done["job"], "cache") == (told.report["job"], told.report["source"])
    assert order.keys().isdisjoint(told.report["value"])
    assert done["result"] == {**order, **told.report["value"]}


def test_force_calls_again_although_the_answer_is_fresh(machine, submit, new_meeting):
    meeting = new_meeting()
    first = submit(machine, "meetings.extract", [meeting], "--wait").report
    before = machine.ledger.openai.calls

    again = submit(machine, "meetings.extract", [meeting], "--wait", "--refresh").report

    assert ("admitted", "call") == (again["asked"], again["source"])
    assert first["key"] == again["key"]
    assert first["job"] != again["job"]
    assert before + 1 == machine.ledger.openai.calls


@pytest.mark.parametrize(("max_age", "asked", "calls"), [("3600", "hit", 0), ("0.001", "admitted", 1)])
def test_max_age_calls_again_only_for_an_older_answer(machine, submit, new_meeting, max_age, asked, calls):
    meeting = new_meeting()
    submit(machine, "meetings.extract", [meeting], "--wait")
    before = machine.ledger.openai.calls

    again = submit(machine, "meetings.extract", [meeting], "--wait", "--max-age", max_age).report

    assert asked == again["asked"]
    assert before + calls == machine.ledger.openai.calls


def test_tenants_share_no_answer_and_tenant_is_part_of_explain(machine, producer, submit, new_meeting):
    meeting, before = new_meeting(), machine.ledger.openai.calls
    one, other = (
        submit(machine, "meetings.extract", [meeting], "--wait", "--tenant", tenant).report
        for tenant in ("one", "other")
    )

    told = producer(machine, "explain", "meetings.extract", json.dumps(meeting), "--tenant", "other").report

    assert ("admitted", "admitted") == (one["asked"], other["asked"])
    assert one["key"] != other["key"] == told["key"]
    assert before + 2 == machine.ledger.openai.calls


def test_rejected_duplicate_ends_with_1_and_leaves_the_job_alone(machine, submit, held_order):
    order, asker = held_order

    told = submit(machine, "orders.enrich", [order], "--wait", "--on-duplicate", "reject")
    machine.control(hold=False)
    first = asker.finish()

    assert (1, "duplicate") == (told.code, told.report["status"])
    assert ("duplicate", None) == (told.report["error"]["kind"], told.report["result"])
    assert (0, "done", told.report["job"]) == (first.code, first.report["status"], first.report["job"])


def test_rejecting_duplicates_still_takes_a_fresh_answer(machine, submit, new_order):
    order = new_order()
    submit(machine, "orders.enrich", [order], "--wait")

    told = submit(machine, "orders.enrich", [order], "--wait", "--on-duplicate", "reject")

    assert (0, "hit") == (told.code, told.report["asked"])
