import json

import pytest

pytestmark = pytest.mark.acceptance

#: Name: (task, line, field that is named, part of the reason).
BAD_ROWS = {
    "list": ("orders.enrich", b"[1, 2]", "", "must be a JSON object"),
    "text": ("orders.enrich", b'"order"', "", "must be a JSON object"),
    "missing order id": ("orders.enrich", b'{"cliente_id": 1}', "order_id", "required"),
    "missing meeting id": ("meetings.extract", b'{"transcript": "Ana: Hi."}', "meeting_id", "required"),
    "missing transcript": ("meetings.extract", b'{"meeting_id": "m"}', "transcript", "required"),
    "empty id": ("orders.enrich", b'{"order_id": "", "cliente_id": 1}', "order_id", "blank"),
    "blank id": ("orders.enrich", b'{"order_id": " ", "cliente_id": 1}', "order_id", "blank"),
    "null id": ("orders.enrich", b'{"order_id": null, "cliente_id": 1}', "order_id", "an id"),
    "fraction as id": ("orders.enrich", b'{"order_id": 1.5, "cliente_id": 1}', "order_id", "whole number"),
    "object as id": ("orders.enrich", b'{"order_id": {}, "cliente_id": 1}', "order_id", "an id"),
    "truth as id": ("orders.enrich", b'{"order_id": "a", "cliente_id": true}', "cliente_id", "an id"),
    "NaN": ("orders.enrich", b'{"order_id": "a", "cliente_id": 1, "total": NaN}', "total", "NaN"),
    "nested infinity": (
        "orders.enrich",
        b'{"order_id": "a", "cliente_id": 1, "items": [{"price": -Infinity}]}',
        "items[0].price",
        "infinity",
    ),
    "2 MiB": (
        "meetings.extract",
        b'{"meeting_id": "m", "transcript": "%s"}' % (b"x" * (2 << 20)),
        "",
        "bytes, more than 1048576",
    ),
    "10 MiB line": (
        "meetings.extract",
        b'{"meeting_id": "m", "transcript": "%s"}' % (b"x" * (10 << 20)),
        "",
        "longer than 8388608 bytes",
    ),
    "truncated line": ("orders.enrich", b'{"order_id": "A1", "cliente_id"', "", "not JSON"),
    "invalid UTF-8": ("orders.enrich", b'{"order_id": "A\xff", "cliente_id": 1}', "", "UTF-8 at byte 16"),
    "lone surrogate": ("orders.enrich", rb'{"order_id": "\ud800", "cliente_id": 1}', "order_id", "surrogate"),
    "duplicate field": ("orders.enrich", b'{"order_id": 1, "order_id": 2}', "order_id", "twice"),
    "too deep": ("orders.enrich", b'{"order_id": 1, "x": %s}' % (b"[" * 100_000), "", "deep"),
    "too long a number": ("orders.enrich", b'{"order_id": %s}' % (b"9" * 30), "order_id", "64 bits"),
}


@pytest.mark.parametrize("name", BAD_ROWS)
def test_bad_row_is_named_and_the_others_are_answered(
    machine, producer, rows_file, new_order, new_meeting, name
):
    task, line, field, reason = BAD_ROWS[name]
    make = new_order if task == "orders.enrich" else new_meeting
    path = rows_file(make(), line, make())

    told = producer(machine, "submit", task, path, "--wait", "--json")

    assert 1 == told.code
    assert ["done", "invalid", "done"] == [report["status"] for report in told.reports]
    assert [1, 2, 3] == [report["row"] for report in told.reports]
    assert field == told.reports[1]["error"]["field"]
    [complaint] = told.problems
    assert complaint.startswith(f"{path}:2: invalid {field}".rstrip())
    assert reason in complaint
    assert "3 rows: 2 done, 1 invalid" == told.total
    assert len(complaint) < 500


@pytest.mark.parametrize("letter", [r"\n", r"\u001b", r"\u009b"])
def test_name_of_a_field_stays_on_the_line_of_its_complaint(idle_machine, producer, rows_file, letter):
    path = rows_file(b'{"a%sb": NaN}' % letter.encode())

    told = producer(idle_machine, "submit", "customers.lookup", path)

    assert 1 == told.code
    assert [f"{path}:1: invalid a?b NaN and infinity are not JSON"] == told.problems
    assert "1 row: 1 invalid" == told.total


def test_explain_names_a_bad_row_and_shows_the_others(machine, producer, rows_file, new_order):
    path = rows_file(new_order(), b'{"cliente_id": 1}', b"[1]")

    told = producer(machine, "explain", "orders.enrich", path)

    assert 1 == told.code
    assert "" == told.err
    assert ["order_id", ""] == [row["error"]["field"] for row in told.reports[1:]]
    assert "ABSENT" == told.reports[0]["state"].upper()


MISTAKES = {
    "unknown task": (("submit", "orders.enrch", "{rows}"), "orders.enrch"),
    "unknown task to explain": (("explain", "nope", "{{}}"), "nope"),
    "unknown option": (("submit", "orders.enrich", "{rows}", "--wiat"), "--wiat"),
    "unknown command": (("sbumit",), "sbumit"),
    "value out of range": (("submit", "orders.enrich", "{rows}", "--timeout", "-1"), "--timeout"),
    "not a number": (("submit", "orders.enrich", "{rows}", "--max-age", "old"), "--max-age"),
    "no number at all": (("submit", "orders.enrich", "{rows}", "--max-age", "nan"), "--max-age"),
    "not a choice": (("submit", "orders.enrich", "{rows}", "--on-duplicate", "cry"), "--on-duplicate"),
    "no such file": (("submit", "orders.enrich", "{folder}/none.jsonl"), "none.jsonl"),
    "folder as file": (("submit", "orders.enrich", "{folder}"), "{folder}"),
    "folder to explain": (("explain", "orders.enrich", "{folder}"), "{folder}"),
    "no such file to explain": (("explain", "orders.enrich", "{folder}/none.jsonl"), "none.jsonl"),
    "not a key": (("result", "abc"), "KEY"),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_mistake_in_the_command_is_named_and_ends_with_2(
    idle_machine, producer, rows_file, tmp_path, new_order, name
):
    arguments, named = MISTAKES[name]
    places = {"rows": rows_file(new_order()), "folder": tmp_path}

    told = producer(idle_machine, *(argument.format(**places) for argument in arguments))

    assert 2 == told.code
    assert "" == told.out
    assert "Traceback" not in told.err
    assert named.format(**places) in told.complaints[-1]


@pytest.mark.parametrize("content", [b"", b"\n \n\n"], ids=["nothing", "blank lines"])
def test_empty_file_is_named_and_ends_with_2(idle_machine, producer, tmp_path, content):
    path = tmp_path / "empty.jsonl"
    path.write_bytes(content)

    told = producer(idle_machine, "submit", "orders.enrich", path, "--json")

    assert (2, "", [f"{path}: empty: it has no rows"]) == (told.code, told.out, told.complaints)


def test_standard_input_is_read_from_a_dash(machine, start, new_order):
    running = start(machine, "-c", PIPED, json.dumps(new_order()))

    told = running.finish()

    assert 0 == told.code, told.err
    assert "done" == told.report["status"]


PIPED = """
import subprocess, sys
command = [sys.executable, "-m", "producer", "submit", "orders.enrich", "-", "--wait", "--json"]
sys.exit(subprocess.run(command, input=sys.argv[1].encode()).returncode)
"""
