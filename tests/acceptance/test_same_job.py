from random import randrange

import pytest

pytestmark = [pytest.mark.acceptance, pytest.mark.timeout(180), pytest.mark.long]

DAY = "2026-11-26"
#: Fields in which two rows of one meeting differ, although they are the same job.
EQUAL = {
    "trimmed id": ({"meeting_id": "{id}"}, {"meeting_id": " {id}\t"}),
    "zero-width characters in the id": ({"meeting_id": "{id}"}, {"meeting_id": "\ufeff{id}\u200b"}),
    "two Unicode forms of the id": ({"meeting_id": "é{id}"}, {"meeting_id": "e\u0301{id}"}),
    "customer as number and text": ({"customer_id": 7}, {"customer_id": "7"}),
    "customer as whole float": ({"customer_id": 7}, {"customer_id": 7.0}),
    "minus zero": ({"customer_id": 0}, {"customer_id": -0.0}),
    "null is absent": ({}, {"customer_id": None, "meet_date": None}),
    "unused fields": ({"exported_at": 1, "tags": ["a"]}, {"exported_at": 2}),
    "null in an unused field": ({}, {"note": None}),
    "Z and an offset of zero": ({"meet_date": f"{DAY}T09:00:00Z"}, {"meet_date": f"{DAY}T09:00:00+00:00"}),
    "milliseconds": ({"meet_date": f"{DAY}T09:00:00Z"}, {"meet_date": f"{DAY}T09:00:00.000Z"}),
    "another offset": ({"meet_date": f"{DAY}T09:00:00Z"}, {"meet_date": f"{DAY}T11:00:00+02:00"}),
    "nanoseconds": (
        {"meet_date": f"{DAY}T09:00:00.1234567890Z"},
        {"meet_date": f"{DAY}T06:00:00.123456789-03:00"},
    ),
    "trimmed date": ({"meet_date": DAY}, {"meet_date": f" {DAY} "}),
    "CRLF": ({"transcript": "Ana: {id}\nBo: Hi."}, {"transcript": "Ana: {id}\r\nBo: Hi."}),
    "CR": ({"transcript": "Ana: {id}\nBo: Hi."}, {"transcript": "Ana: {id}\rBo: Hi."}),
    "last line end": ({"transcript": "Ana: {id}"}, {"transcript": "Ana: {id}\r\n"}),
}
#: Fields in which two rows differ that are two jobs.
APART = {
    "leading zeros": ({"customer_id": "00123"}, {"customer_id": "123"}),
    "leading zeros and a number": ({"customer_id": "00124"}, {"customer_id": 124}),
    "inner space of the id": ({"meeting_id": "a {id}"}, {"meeting_id": "a{id}"}),
    "case of the id": ({"meeting_id": "a{id}"}, {"meeting_id": "A{id}"}),
    "date and midnight": ({"meet_date": DAY}, {"meet_date": f"{DAY}T00:00:00Z"}),
    "date and midnight without a zone": ({"meet_date": DAY}, {"meet_date": f"{DAY}T00:00:00"}),
    "no zone and Z": ({"meet_date": f"{DAY}T09:00:00"}, {"meet_date": f"{DAY}T09:00:00Z"}),
    "beyond microseconds": (
        {"meet_date": f"{DAY}T09:00:00.123456Z"},
        {"meet_date": f"{DAY}T09:00:00.1234567Z"},
    ),
    "absent and present": ({}, {"customer_id": 7}),
    "joined emoji": (
        {"transcript": "Ana: \U0001f469\u200d\U0001f4bb"},
        {"transcript": "Ana: \U0001f469\U0001f4bb"},
    ),
    "space at the end": ({"transcript": "Ana: {id}"}, {"transcript": "Ana: {id} "}),
    "empty line": ({"transcript": "Ana: {id}\nBo: Hi."}, {"transcript": "Ana: {id}\n\nBo: Hi."}),
}


def rows_of(pairs):
    """Return the first rows of all pairs, and the second ones; no other run has these meetings."""
    run = randrange(10**9, 10**12)
    rows = [[row_of(run + n, fields) for fields in pair] for n, pair in enumerate(pairs)]
    return zip(*rows, strict=True)


def row_of(number, fields):
    row = {"meeting_id": number, "transcript": "Ana: {id}", **fields}
    filled = {
        name: value.replace("{id}", str(number)) for name, value in row.items() if isinstance(value, str)
    }
    return {**row, **filled}


@pytest.fixture
def submit_twice(machine, submit):
    """Submit the first row of each pair, then the second; return both reports and what each time was paid."""

    def run(pairs):
        reports, calls = [], [machine.ledger.openai.calls]
        for rows in rows_of(pairs):
            told = submit(machine, "meetings.extract", rows, "--wait")
            assert 0 == told.code, told.err
            reports.append(told.reports)
            calls.append(machine.ledger.openai.calls)
        return *reports, calls[1] - calls[0], calls[2] - calls[1]

    return run


def test_rows_that_differ_in_form_only_are_one_call(submit_twice):
    first, second, paid, paid_again = submit_twice(EQUAL.values())

    assert dict.fromkeys(EQUAL, "hit") == dict(zip(EQUAL, (one["asked"] for one in second), strict=True))
    assert [one["key"] for one in first] == [one["key"] for one in second]
    assert (len(EQUAL), 0) == (paid, paid_again)


def test_rows_that_differ_in_what_the_task_uses_are_two_calls(submit_twice):
    _first, second, paid, paid_again = submit_twice(APART.values())

    assert dict.fromkeys(APART, "admitted") == dict(zip(APART, (one["asked"] for one in second), strict=True))
    assert (len(APART), len(APART)) == (paid, paid_again)


def test_callers_of_one_order_share_the_answer_and_keep_their_rows(machine, submit, store, new_order):
    order, before = new_order(), machine.ledger.customers.calls
    one = {**order, "total": 1.5, "exported_at": "2026-11-26T09:00:00Z", "note": None}
    other = {**order, "cliente_id": str(order["cliente_id"]), "total": 99, "tags": ["b", "a"]}
    customer = {"cliente_nome": f"Cliente {order['cliente_id']}", "cliente_fonte": "api"}

    first = submit(machine, "orders.enrich", [one], "--wait").report
    kept = store.read([first["key"]])[0]
    second = submit(machine, "orders.enrich", [other], "--wait").report
    kept_after = store.read([second["key"]])[0]

    assert ("admitted", "hit") == (first["asked"], second["asked"])
    assert before + 1 == machine.ledger.customers.calls
    assert (kept.value.data, kept.fingerprint) == (kept_after.value.data, kept_after.fingerprint)
    assert b"total" not in kept.value.data
    for row, report in ((one, first), (other, second)):
        assert {**row, **customer} == {k: v for k, v in report["result"].items() if k != "cliente"}
        assert str(order["cliente_id"]) == str(report["result"]["cliente"]["cliente_id"])


def test_callers_of_one_running_order_each_get_their_own_row(machine, begin_submit, submit, new_order):
    order, before = new_order(), machine.ledger.customers.calls
    machine.control(hold=True)
    owner = begin_submit(machine, "orders.enrich", [{**order, "row": 1}], "--wait")
    assert machine.wait_for_held(1, 30)

    attached = begin_submit(machine, "orders.enrich", [{**order, "row": 2}], "--wait")
    assert "attached" == submit(machine, "orders.enrich", [{**order, "row": 3}]).report["asked"]
    machine.control(hold=False)
    reports = [owner.finish().report, attached.finish().report]

    assert [1, 2] == [report["result"]["row"] for report in reports]
    assert before + 1 == machine.ledger.customers.calls


def test_lookup_shares_the_customer_of_an_order(machine, submit, new_order):
    order = new_order()
    submit(machine, "orders.enrich", [order], "--wait")
    before = machine.ledger.customers.calls

    told = submit(machine, "customers.lookup", [{"cliente_id": order["cliente_id"], "row": 1}], "--wait")

    assert ("hit", before) == (told.report["asked"], machine.ledger.customers.calls)
    assert "row" not in told.report["result"]
