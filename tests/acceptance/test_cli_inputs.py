"""Every verb that reads inputs reads them alike."""

import csv
import json

import pytest

from tests.acceptance.outputs import lines

pytestmark = [pytest.mark.acceptance, pytest.mark.timeout(120)]

TASK = "orders.enrich"
UNKNOWN = (
    "the header has no column order_id, cliente_id: --map orderid names no field of the task,"
    " whose fields are order_id, cliente_id; it has No, Customer, City"
)
AS_WRITTEN = ("--delimiter", ";", "--encoding", "cp1252")
READING = ("--map", "order_id=No", "--map", "cliente_id=Customer", *AS_WRITTEN)


@pytest.fixture
def table(tmp_path, new_order):
    """A CSV of other names, in another encoding."""
    path, orders = tmp_path / "orders.csv", [new_order() for _ in range(3)]
    rows = "".join(f"{order['order_id']};{order['cliente_id']};São\n" for order in orders)
    path.write_bytes(f"No;Customer;City\n{rows}".encode("cp1252"))
    return path


def test_rows_that_were_submitted_are_explained_and_cancelled_by_the_same_words(
    idle_machine, producer, table
):
    submitted = producer(idle_machine, "submit", TASK, table, *READING, "--json")
    explained = producer(idle_machine, "explain", TASK, table, *READING)
    cancelled = producer(idle_machine, "cancel", table, "--task", TASK, *READING)

    assert [0, 0, 0] == [submitted.code, explained.code, cancelled.code], cancelled.err
    assert [row["key"] for row in submitted.reports] == [row["key"] for row in explained.reports]
    assert ["queued"] * 3 == [row["state"] for row in explained.reports]
    assert f"{table}: 3 cancelled\n" == cancelled.out


@pytest.mark.parametrize(
    ("command", "complaint"),
    [
        (("explain", TASK, "TABLE"), "the header has no column order_id, cliente_id"),
        (("submit", TASK, "TABLE", *AS_WRITTEN, "--map", "orderid=No"), UNKNOWN),
        (("explain", TASK, "TABLE", *AS_WRITTEN, "--map", "orderid=No"), UNKNOWN),
        (("explain", TASK, '{"order_id":"1"}', "--encoding", "cp1252"), "--encoding is for rows of a file"),
        (("cancel", "TABLE", "--map", "a=b"), "--map is for rows of a file: add --task, whose rows they are"),
        (("cancel", "TABLE", "--task", TASK, "--map", "a=b"), "the header has no column b"),
        (("cancel", "TABLE", "--task", "orders.enrihc"), "unknown task 'orders.enrihc'"),
    ],
)
def test_what_cannot_be_read_so_is_one_line(idle_machine, producer, table, command, complaint):
    told = producer(idle_machine, *(str(table) if word == "TABLE" else word for word in command))

    assert (2, "") == (told.code, told.out)
    assert complaint in told.err.splitlines()[-1]


def test_csv_and_transcripts_go_in_and_csv_comes_out(machine, producer, tmp_path, new_order, numbers):
    orders, table = tmp_path / "orders.csv", tmp_path / "out.csv"
    order = new_order()
    orders.write_text(f"No;Customer\n{order['order_id']};{order['cliente_id']}\n", encoding="utf-8")
    fields = ("--map", "order_id=No", "--map", "cliente_id=Customer")
    folder, answers = tmp_path / "calls", tmp_path / "answers.jsonl"
    folder.mkdir()
    said = f"WEBVTT\n\n00:00.000 --> 00:02.000\n<v Ana>We ship version {next(numbers)} on Friday.</v>\n"
    (folder / "monday.vtt").write_text(said, encoding="utf-8")

    first = producer(machine, "submit", "orders.enrich", orders, *fields, "--out", table)
    second = producer(machine, "submit", "meetings.extract", folder, "--out", answers)

    assert (0, 0) == (first.code, second.code), first.err + second.err
    with table.open(newline="", encoding="utf-8") as stream:
        [row] = csv.DictReader(stream)
    assert (order["order_id"], "done") == (row["id"], row["status"])
    assert json.loads(row["result"])["cliente_nome"]
    [begun] = [line["run"] for line in lines(table.with_name("out.csv.journal")) if "run" in line]
    assert ["--map"] == begun["read_by"]
    assert [("monday", "done")] == [(line["id"], line["status"]) for line in lines(answers)]
