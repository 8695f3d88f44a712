import io
import json
from time import process_time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from askonce import rows
from askonce.rows import BadRow, Row, parse_row, read_rows
from tests.deadlines import stretched

MARKER = "hunter2-of-ana-souza"


def read(text):
    return list(read_rows(io.BytesIO(text)))


def test_every_line_is_a_row_with_its_number():
    assert read(b'{"n":1}\n{"n":2}\n') == [Row(number=1, payload={"n": 1}), Row(number=2, payload={"n": 2})]


@pytest.mark.parametrize("ending", [b"\n", b"\r\n"])
def test_blank_lines_are_skipped_and_counted(ending):
    assert read(ending.join([b"", b'{"n":1}', b"  ", b"\t", b'{"n":2}'])) == [
        Row(number=2, payload={"n": 1}),
        Row(number=5, payload={"n": 2}),
    ]


def test_last_line_needs_no_newline():
    assert read(b'{"n":1}') == [Row(number=1, payload={"n": 1})]


def test_empty_file_has_no_rows():
    assert read(b"") == []


BAD = {
    "text": (b"hello", "", "not JSON: Expecting value at column 1"),
    "torn": (b'{"n":}', "", "not JSON: Expecting value at column 6"),
    "tab in a text": (b'{"n":"\t"}', "", "not JSON: Invalid control character at column 7"),
    "not UTF-8": (b'{"n":"\xff"}', "", "invalid UTF-8 at byte 7"),
    "list": (b"[1]", "", "must be a JSON object"),
    "number": (b"7", "", "must be a JSON object"),
    "given twice": (b'{"n":1,"m":2,"n":3}', "n", "given twice"),
    "half of a character twice": (b'{"\\ud800":1,"\\ud800":2}', "?", "given twice"),
    "given twice inside": (b'{"a":{"n":1,"n":1}}', "n", "given twice"),
    "too deep": (b'{"a":' + b"[" * 100_000, "", "not JSON that can be read: too deep or too long a number"),
    "long number": (
        b'{"n":' + b"9" * 5000 + b"}",
        "",
        "not JSON that can be read: too deep or too long a number",
    ),
}


@pytest.mark.parametrize(("line", "field", "reason"), BAD.values(), ids=BAD)
def test_bad_line_is_named_and_the_rest_is_read(line, field, reason):
    assert read(b'{"n":1}\n' + line + b'\n{"n":2}\n') == [
        Row(number=1, payload={"n": 1}),
        BadRow(number=2, field=field, reason=reason),
        Row(number=3, payload={"n": 2}),
    ]


def test_line_that_is_too_long_is_skipped_without_being_read(monkeypatch):
    monkeypatch.setattr(rows, "MAX_LINE_BYTES", 16)
    lengths = []

    class Stream(io.BytesIO):
        def readline(self, size=-1):
            line = super().readline(size)
            lengths.append(len(line))
            return line

    found = list(read_rows(Stream(b'{"n":"' + b"x" * 100 + b'"}\n{"n":2}\n')))

    assert found == [
        BadRow(number=1, field="", reason="longer than 16 bytes"),
        Row(number=2, payload={"n": 2}),
    ]
    assert max(lengths) == 16


def test_too_long_last_line_without_newline_ends_the_file(monkeypatch):
    monkeypatch.setattr(rows, "MAX_LINE_BYTES", 16)

    assert read(b'{"n":"' + b"x" * 100) == [BadRow(number=1, field="", reason="longer than 16 bytes")]


def test_nan_is_left_to_the_key():
    [row] = read(b'{"n":NaN}')

    assert isinstance(row, Row)


def test_field_given_twice_in_a_long_line_is_found_soon():
    # Counting each name in all of them would take minutes.
    names = [f'"f{n}":1' for n in range(60_000)]
    began = process_time()

    row = parse_row(1, ("{" + ",".join([*names, names[-1]]) + "}").encode())

    assert row.field == "f59999"
    assert process_time() - began < stretched(10)


@given(st.binary(max_size=200))
def test_any_bytes_are_rows_or_bad_rows_with_line_numbers(text):
    found = read(text)

    numbers = [each.number for each in found]
    assert numbers == sorted(set(numbers))
    assert all(1 <= number <= text.count(b"\n") + 1 for number in numbers)


@given(st.text(max_size=20), st.integers(0, 40))
def test_reason_never_quotes_the_line(junk, cut):
    line = (f'{{"name":"{MARKER}","more":"{junk}","rest":[1,2'[: 60 + cut]).encode(errors="replace")

    row = parse_row(1, line)

    assert MARKER not in repr(row) if isinstance(row, BadRow) else True


BLANK = st.sampled_from(["", "", " ", "\t", "\r", "\n"])
NAMES = st.sampled_from(["a", "b", "c:", '":', " :", "\xe3"])
NUMBERS = st.sampled_from(["0", "-0", "-0.0", "1e400", "9" * 30, str(2**64), "1.5", "9.3e18", "NaN"])


def objects(values):
    """Objects as text, with blanks anywhere and names that may be there twice."""
    fields = st.tuples(NAMES.map(json.dumps), BLANK, st.just(":"), BLANK, values).map("".join)
    return st.lists(fields, max_size=20).map(lambda all_: f"{{{','.join(all_)}}}")


TEXTS = objects(
    st.recursive(
        NUMBERS | NAMES.map(json.dumps),
        lambda inner: objects(inner) | st.lists(inner, max_size=3).map(lambda all_: f"[{','.join(all_)}]"),
        max_leaves=9,
    )
)


@pytest.mark.parametrize("blank", ["", " ", "\t", "\r"])
def test_field_given_twice_among_many_is_found_behind_any_blank(blank):
    many = ",".join(f'"n{n}":1' for n in range(20))

    row = parse_row(1, f'{{{many},"n7"{blank}:2}}'.encode())

    assert BadRow(number=1, field="n7", reason="given twice") == row


@given(TEXTS)
def test_line_is_read_as_the_strict_parser_reads_it(text):
    try:
        strict = json.loads(text, object_pairs_hook=rows._object)
    except rows._DuplicateField:
        strict = None

    found = parse_row(1, text.encode())

    # The text shows more than the value: 0 equals -0.0, and no NaN equals another.
    assert repr(strict) == repr(found.payload if isinstance(found, Row) else None)


@pytest.mark.parametrize(
    "row", [{"a": 1, "b": {"c": [{"d": 1.5}]}}, {f"n{n}": "at 09:30" for n in range(20)}]
)
def test_usual_line_is_parsed_fast(row):
    assert row == rows._parsed_fast(json.dumps(row).encode())
