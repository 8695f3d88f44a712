"""The output of a run: what a line of JSON has is in a table too."""

import csv
import io
import json
from dataclasses import replace

import pytest

from producer.bill.estimate import Estimate, Range
from producer.run.forecast import Forecast
from producer.run.output import COLUMNS, Files, JsonLines, Results, Table, beside
from producer.run.report import FIELDS, Report, id_of

REPORT = Report(
    row=7,
    id="m-1",
    status="done",
    asked="admitted",
    key="k",
    job="j",
    source="call",
    result={"summary": "a, b"},
    cost_usd=0.000213,
    usage={"input_tokens": 10},
    calls=2,
    avoided_usd=0.5,
    attempts=1,
    seconds=0.25,
    age=0.1,
    later_row=9,
    source_reason="backoff",
)


def read(report):
    [row] = csv.DictReader(io.StringIO((Table().header() + Table().row(report.to_json())).decode()))
    return row


def test_table_has_a_column_for_each_field_of_a_line():
    assert set(COLUMNS) == {*FIELDS, "tokens"} - {"usage"}


@pytest.mark.parametrize("name", sorted(set(FIELDS) - {"usage", "result", "error", "degraded"}))
def test_table_has_what_a_line_has(name):
    assert read(REPORT)[name] == str(getattr(REPORT, name))


def test_table_has_data_as_json_and_nothing_for_what_is_unknown():
    row = read(REPORT)

    assert (json.loads(row["result"]), json.loads(row["tokens"])) == (REPORT.result, REPORT.usage)
    empty = read(Report(row=8, status="done", usage={}))
    assert (empty["cost_usd"], empty["calls"], empty["avoided_usd"], empty["tokens"]) == ("", "", "", "")


HOSTILE = "=1+1\n2026-01-01 forged\x1b[2J\x9b2J\u202e\u2028"


def test_cell_of_text_is_one_line_and_no_formula():
    row = read(replace(REPORT, id=HOSTILE, source_reason="@x", error={"kind": "-", "reason": HOSTILE}))

    assert row["id"] == "'=1+1?2026-01-01 forged?[2J?2J??"
    assert row["source_reason"] == "'@x"
    assert row["error"].startswith("'-: =1+1?2026")


@pytest.mark.parametrize("format_", [JsonLines(), Results(), Table()], ids=lambda each: type(each).__name__)
def test_answer_of_a_service_is_kept_whole_and_moves_no_cursor(format_):
    report = replace(REPORT, id="m\x9b", result={HOSTILE: [HOSTILE]})

    line = format_.row(report.to_json()).decode().removesuffix("\n").removesuffix("\r")

    assert line.isprintable()
    found = line if format_.header() == b"" else next(csv.reader([line]))[COLUMNS.index("result")]
    answer = json.loads(found)
    assert {HOSTILE: [HOSTILE]} in (answer, answer.get("result"))


def test_files_of_an_earlier_start_stay_until_this_one_begins(tmp_path):
    out = tmp_path / "out.jsonl"
    part, errors = beside(out, "part"), beside(out, "errors.jsonl")
    for path in (part, errors):
        path.write_bytes(b"{}")

    with Files(out):
        pass
    assert [b"{}", b"{}"] == [part.read_bytes(), errors.read_bytes()]

    with Files(out) as files:
        files.begin()
    assert (b"", False) == (part.read_bytes(), errors.exists())


class Meter:
    """An estimate with more digits than money has."""

    def estimate(self):
        cost = Range(0.1 / 3, 0.2 / 3, 1 / 3)
        whole = Range(1, 2, 3)
        return Estimate(
            rows=1, calls=whole, input_tokens=None, output_tokens=whole, cost_usd=cost, basis="a guess"
        )


def test_forecast_for_programs_has_dollars_to_their_millionths():
    found = Forecast(spec=None, store=None, meter=Meter()).to_dict()

    assert found["cost_usd"] == {"low": 0.033333, "expected": 0.066667, "high": 0.333333}
    assert (found["input_tokens"], found["calls"]) == (None, {"low": 1, "expected": 2, "high": 3})


@pytest.mark.parametrize(
    ("value", "shown"), [("x-7", "x-7"), (7, "7"), (7.0, "7"), (1.5, ""), (["7"], ""), ("\ud800", "?")]
)
def test_id_of_a_row_is_text(value, shown):
    assert shown == id_of({"order_id": value}, ("order_id",))
