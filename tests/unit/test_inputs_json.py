import json
from contextlib import suppress
from io import BytesIO
from itertools import count

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from askonce import rows
from askonce.rows import BadRow, Row
from producer.inputs import InputInvalid, Reading, array, open_inputs
from producer.inputs.array import Array
from producer.inputs.columns import Columns
from producer.inputs.lines import Lines
from producer.run.report import invalid
from tests.unit.given_inputs import payloads_of, refusal_of, rows_of

MARKER = "hunter2-of-ana-souza"
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(max_size=9),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=9,
)
OBJECTS = st.dictionaries(st.text(max_size=5), VALUES, max_size=4)


class Dripping(BytesIO):
    """Returns less than it is asked for, as a pipe may."""

    def __init__(self, content, size):
        super().__init__(content)
        self._size = size

    def read(self, size=-1):
        return super().read(min(size, self._size))

    read1 = read


@pytest.fixture
def file(tmp_path):
    def write(text, name="rows.json"):
        path = tmp_path / name
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    return write


@given(st.lists(OBJECTS, max_size=6), st.integers(1, 40), st.booleans(), st.sampled_from([None, 2]))
@example(values=[{"n": 12345}], size=1, escaped=False, indent=None)
@example(values=[{"n": "\xe3"}, {"n": -1.5e-300}], size=1, escaped=True, indent=None)
def test_array_in_pieces_of_any_size_is_what_json_reads(values, size, escaped, indent):
    text = json.dumps(values, ensure_ascii=escaped, indent=indent)

    found = Array(name="rows.json", columns=Columns()).rows(Dripping(text.encode(), size), count(1))

    assert json.loads(text) == [row.payload for row in found]


def test_number_that_comes_in_pieces_is_one_element():
    rows = Array(name="rows.json", columns=Columns()).rows(Dripping(b'[{"n":1}, 12345]', 1), count(1))
    try:
        found = [type(row) for row in rows]
    except InputInvalid as cut:
        pytest.fail(f"the number is taken for two: {cut}")

    assert [Row, BadRow] == found


@given(st.lists(OBJECTS, max_size=4), st.integers(1, 40), st.sampled_from(["", " ", "\n"]))
def test_values_one_after_the_other_are_rows(values, size, between):
    text = between.join(json.dumps(value, indent=2) for value in values)
    form = Array(name="rows.json", columns=Columns(), bracketed=False)

    assert values == [row.payload for row in form.rows(Dripping(text.encode(), size), count(1))]


@given(st.lists(OBJECTS, min_size=1, max_size=4), st.data())
def test_array_that_is_cut_anywhere_is_refused(values, data):
    text = json.dumps(values)
    cut = data.draw(st.integers(1, len(text) - 1))

    with pytest.raises(InputInvalid, match=r"^rows\.json: element \d+ is cut off: the file ends in it$"):
        Array(name="rows.json", columns=Columns()).check(BytesIO(text[:cut].encode()))


@given(st.binary(max_size=60))
def test_any_bytes_are_rows_or_one_line(content):
    with suppress(InputInvalid):
        for row in Array(name="rows.json", columns=Columns()).rows(BytesIO(content), count(1)):
            assert isinstance(row, Row | BadRow)


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ('[{"n":1}, {"n":}]', "rows.json: element 2 is not JSON: Expecting value"),
        ('[{"n":1} {"n":2}]', "rows.json: element 2 is not JSON: Expecting ']'"),
        ('[{"n":1},]', "rows.json: has a comma after its last element: remove it"),
        ('[{"n":1},,{"n":2}]', "rows.json: element 2 is not JSON: Expecting value"),
        ('[{"n":1}]]', "rows.json: has more after the end of its array"),
        ('[{"n":1}]\n[{"n":2}]', "rows.json: has more after the end of its array"),
        ('[{"n":1}, {"n":2}', "rows.json: element 3 is cut off: the file ends in it"),
        ('[{"n":' + "[" * 100_000, "rows.json: element 1 is too deep, or has too long a number"),
        ('[{"n":' + "9" * 5000 + "}]", "rows.json: element 1 is too deep, or has too long a number"),
        (b'[{"n":"\xff"}]', "rows.json: element 1 is not UTF-8: pass --encoding, such as cp1252"),
        ('[["n"], 7]', "rows.json: is not an array of objects: none of its first 2 rows is an object; "),
    ],
)
def test_array_of_another_structure_is_one_line(file, text, line):
    assert refusal_of(file(text)).startswith(line)


def test_element_that_is_no_payload_is_a_bad_row(file):
    first, twice, other, last = rows_of(file('[{"n":1}, {"a":{"m":1,"m":2}}, 7, {"n":2}]'))

    assert ({"n": 1}, {"n": 2}) == (first.payload, last.payload)
    assert ("m", "given twice") == (twice.field, twice.reason)
    assert ("must be a JSON object", "rows.json element 3") == (other.reason, other.place.rpartition("/")[2])


@pytest.mark.parametrize("name", ["rows.json", "rows.jsonl"])
def test_name_that_cannot_be_written_is_a_line_all_the_same(file, name):
    first = '{"\\ud800":1,"\\ud800":2}'
    row, _ = rows_of(file(f'[{first},{{"n":1}}]' if name == "rows.json" else f'{first}\n{{"n":1}}\n', name))

    error = json.loads(invalid(row).to_json())["error"]

    assert {"kind": "invalid", "field": "?", "reason": "given twice"} == error


def test_element_that_is_too_long_is_not_read_into_memory(monkeypatch):
    monkeypatch.setattr(array, "MAX_LINE_BYTES", 1000)
    monkeypatch.setattr(array, "_CHUNK", 100)
    stream = BytesIO(b'[{"n":"' + b"x" * 100_000 + b'"}]')

    with pytest.raises(InputInvalid, match="element 1 is longer than 1000 characters"):
        Array(name="rows.json", columns=Columns()).check(stream)

    assert stream.tell() < 3000


@pytest.mark.parametrize("between", ["", " ", "\n", "\r\n\r\n"])
def test_objects_one_after_the_other_are_read_however_they_are_set(file, between):
    text = between.join(['{"n": 1}', '{"n": "}{"}', '{"n": 3}'])

    assert [{"n": 1}, {"n": "}{"}, {"n": 3}] == payloads_of(file(text))


def test_ending_json_and_jsonl_are_read_either_way(file):
    assert [{"n": 1}, {"n": 2}] == payloads_of(file('{"n":1}\n{"n":2}\n', "rows.json"))
    assert [{"n": 1}, {"n": 2}] == payloads_of(file('[{"n":1},\n{"n":2}]\n', "rows.jsonl"))
    assert [{"n": 1}] == payloads_of(file('{\n  "n": 1\n}\n', "rows.json"))


def test_format_that_is_named_is_used(file):
    assert (
        "rows.json: is not JSON lines: none of its first 2 rows is an object"
        == refusal_of(file('[{"n":1},\n{"n":2}]\n'), format="jsonl").partition(";")[0]
    )


LINES = b'{"n":1}\n\n{"n":}\n{"n":2}\n'


def test_bad_line_among_others_is_a_bad_row(file):
    one, bad, two = rows_of(file(LINES, "rows.jsonl"))

    assert ({"n": 1}, {"n": 2}) == (one.payload, two.payload)
    assert (2, "not JSON: Expecting value at column 6") == (bad.number, bad.reason)
    assert "rows.jsonl:3" == bad.place.rpartition("/")[2]


def test_line_that_is_too_long_is_one_bad_row(file, monkeypatch):
    monkeypatch.setattr(rows, "MAX_LINE_BYTES", 64)

    long, short = rows_of(file(b'{"n":"' + b"x" * 500 + b'"}\n{"n":2}\n', "rows.jsonl"))

    assert ("longer than 64 bytes", {"n": 2}) == (long.reason, short.payload)


@pytest.mark.parametrize("lines", [2, 99, 100, 5000])
def test_file_without_any_object_is_one_line(file, lines):
    line = refusal_of(file(f"{MARKER},7\n" * lines, "rows.jsonl"))

    shown = min(lines, 100)
    assert line.startswith(f"rows.jsonl: is not JSON lines: none of its first {shown} rows is an object; ")
    assert line.endswith("rows.jsonl:1: not JSON: Expecting value at column 1")
    assert MARKER not in line


def test_object_after_99_bad_lines_makes_them_bad_rows(file):
    found = rows_of(file("x\n" * 99 + '{"n":1}\n' + "x\n" * 200, "rows.jsonl"))

    assert 299 == sum(isinstance(row, BadRow) for row in found)
    assert {"n": 1} == found[99].payload


def test_only_line_that_is_bad_is_a_bad_row(file):
    [bad] = rows_of(file(b"hello\n", "rows.jsonl"))

    assert "not JSON: Expecting value at column 1" == bad.reason


def test_lines_of_another_encoding_are_one_line(file):
    text = '{"name":"Bo"}\n{"name":"São"}\n{"name":"Grüße"}\n'

    assert "rows.jsonl:2: is not UTF-8: pass --encoding, such as cp1252" == refusal_of(
        file(text.encode("cp1252"), "rows.jsonl")
    )
    assert ["Bo", "São", "Grüße"] == [
        each["name"] for each in payloads_of(file(text.encode("cp1252"), "rows.jsonl"), encoding="cp1252")
    ]


def test_damaged_lines_among_sound_ones_are_bad_rows(file):
    good, *bad = rows_of(file('{"name":"São"}\n'.encode() + b'{"name":"\xff"}\n' * 3, "rows.jsonl"))

    assert {"name": "São"} == good.payload
    assert ["invalid UTF-8 at byte 10"] * 3 == [row.reason for row in bad]


@pytest.mark.parametrize("name", ["rows.json", "rows.jsonl"])
def test_map_renames_fields_of_objects(file, name):
    text = '{"No":1,"order_id":9,"x":2}\n{"order_id":3}\n'
    text = f"[{','.join(text.split())}]" if name == "rows.json" else text

    assert [{"x": 2, "order_id": 1}, {"order_id": 3}] == payloads_of(
        file(text, name), columns={"order_id": "No"}
    )


WRONG_MAP = {"columns": {"cliente_id": "Custmer"}, "required": ("order_id", "cliente_id")}


def as_file(rows, name):
    texts = [json.dumps(row) for row in rows]
    return f"[{','.join(texts)}]" if name == "rows.json" else "".join(f"{text}\n" for text in texts)


@pytest.mark.parametrize("name", ["rows.json", "rows.jsonl"])
def test_column_of_a_map_that_no_row_has_is_one_line_for_the_file(file, name):
    rows = [{"order_id": n, "Customer": MARKER} for n in range(300)]
    path = file(as_file(rows, name), name)

    said = "has a field Custmer, which --map cliente_id names; the first one has order_id, Customer"
    assert f"{name}: none of its first 100 rows {said}" == refusal_of(path, **WRONG_MAP)
    path.write_text(as_file(rows[:1], name))
    assert f"{name}: its only row has no field Custmer, " in refusal_of(path, **WRONG_MAP)


def test_map_of_no_field_of_the_task_is_named_where_no_row_has_what_is_needed(file):
    path, fields = file('{"No":1}\n{"No":2}\n', "rows.jsonl"), ("order_id",)

    assert (
        "rows.jsonl: none of its first 2 rows has a field order_id: --map orderid names no field of the task,"
        " whose fields are order_id; the first one has No"
        == refusal_of(path, columns={"orderid": "No"}, required=fields, fields=fields)
    )


def test_names_of_fields_that_are_data_are_not_quoted(file):
    path = file(f'{{"{MARKER}@example.com":1}}\n', "rows.jsonl")

    assert MARKER not in refusal_of(path, **WRONG_MAP)


@pytest.mark.parametrize(
    "rows",
    [
        [{"order_id": 1}, {"order_id": 2, "Custmer": 3}],
        [{"order_id": 1}, {"order_id": 2, "cliente_id": 3}],
        [{"order_id": 1}, {"cliente_id": 2}],
    ],
    ids=["one has the column", "one has the field", "each lacks another field"],
)
def test_rows_of_which_one_may_be_right_are_read_each_by_itself(file, rows):
    path = file(as_file(rows, "rows.jsonl"), "rows.jsonl")

    try:
        read = payloads_of(path, **WRONG_MAP)
    except InputInvalid as refused:
        pytest.fail(str(refused))
    assert 2 == len(read)


def test_field_that_is_not_needed_may_be_missing_in_each_row(file):
    path = file('{"order_id":1}\n{"order_id":2}\n', "rows.jsonl")

    assert 2 == len(payloads_of(path, columns={"nota": "Note"}, required=("order_id",)))


def test_rows_that_are_not_wanted_any_more_are_not_read(file):
    inputs = open_inputs([str(file(LINES, "rows.jsonl"))], Reading())
    some = inputs.rows()
    next(some)
    some.close()

    assert 3 == len(list(inputs.rows()))


def test_check_of_lines_parses_none_once_a_payload_was_seen(monkeypatch):
    parsed = []
    monkeypatch.setattr(
        "producer.inputs.lines.parse_row", lambda *args: parsed.append(args) or rows.parse_row(*args)
    )

    assert 3 == Lines(name="rows.jsonl", columns=Columns()).check(BytesIO(LINES))
    assert 1 == len(parsed)
