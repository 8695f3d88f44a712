import csv
from io import BytesIO, StringIO
from itertools import count

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from producer.inputs import table
from producer.inputs.columns import Columns
from producer.inputs.table import Table, delimiter_of
from tests.unit.given_inputs import payloads_of, refusal_of, rows_of

MARKER = "hunter2-of-ana-souza"
CELLS = st.text(st.characters(codec="utf-8", exclude_characters="\0\r"), max_size=8)


@pytest.fixture
def file(tmp_path):
    def write(text, name="rows.csv"):
        path = tmp_path / name
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return path

    return write


@given(
    st.lists(st.tuples(CELLS, CELLS, CELLS), max_size=6),
    st.sampled_from(",;\t|"),
    st.sampled_from(["\n", "\r\n"]),
    st.sampled_from([csv.QUOTE_ALL, csv.QUOTE_MINIMAL]),
)
def test_table_is_what_was_written(cells, delimiter, ending, quoting):
    text = StringIO(newline="")
    writer = csv.writer(text, delimiter=delimiter, lineterminator=ending, quoting=quoting)
    writer.writerows([("a", "b", "c"), *cells])
    content = text.getvalue().encode()
    assume(delimiter_of(content, "rows.csv") == delimiter)
    found = Table(name="rows.csv", delimiter=delimiter, columns=Columns()).rows(BytesIO(content), count(1))

    written = [dict(zip("abc", row, strict=True)) for row in cells if any(row)]
    assert [{k: v for k, v in row.items() if v} for row in written] == [row.payload for row in found]


def test_cells_are_text_and_an_empty_one_is_absent(file):
    assert [{"id": "007", "tags": '["a"]'}, {"id": "8", "note": " "}] == payloads_of(
        file('id,note,tags\n007,,"[""a""]"\n8, ,\n')
    )


def test_row_is_placed_by_the_line_where_it_begins(file):
    found = rows_of(file('id,text\n1,"a\nb"\n\n,\n2,c\n'))

    assert ["rows.csv:2", "rows.csv:6"] == [row.place.rpartition("/")[2] for row in found]
    assert "a\nb" == found[0].payload["text"]


@pytest.mark.parametrize("delimiter", [",", ";", "\t", "|"])
def test_delimiter_is_found(file, delimiter):
    text = "id,name\n1,Ana\n".replace(",", delimiter)

    assert [{"id": "1", "name": "Ana"}] == payloads_of(file(text))


def test_delimiter_inside_a_quoted_name_does_not_count(file):
    assert [{"name, first": "Ana", "age": "7"}] == payloads_of(file('"name, first";age\nAna;7\n'))


def test_delimiter_is_found_by_the_rows_where_the_header_leaves_it_open(file):
    assert [{"name, first": "Ana", "age": "7"}] == payloads_of(file("name, first;age\nAna;7\n"))


def test_delimiter_that_stays_open_is_reported_and_may_be_named(file):
    path = file("a,b;c\n")

    assert "rows.csv: its cells may be separated by , or ;: pass --delimiter" == refusal_of(path)
    assert [] == payloads_of(path, delimiter=";")


@pytest.mark.parametrize("delimiter", ["tab", "\t", "\\t"])
def test_tab_has_a_name(file, delimiter):
    assert [{"a,b": "1", "c": "2"}] == payloads_of(file("a,b\tc\n1\t2\n"), delimiter=delimiter)


def test_ending_tsv_names_the_tab(file):
    assert [{"a,b": "1,2"}] == payloads_of(file("a,b\n1,2\n", "rows.tsv"))


def test_first_line_of_excel_names_the_delimiter(file):
    assert [{"a": "1", "b": "2,5"}] == payloads_of(file("sep=;\r\na;b\r\n1;2,5\r\n"))


def test_table_of_one_column_needs_no_delimiter(file):
    assert [{"id": "1"}, {"id": "2"}] == payloads_of(file("id\n1\n\n2\n"))


def test_empty_table_has_no_rows(file):
    assert [] == payloads_of(file(""), required=("id",))
    assert [] == payloads_of(file("id,name\n"))


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("a,b\n1,2\n3\n4,5\n", "rows.csv:3: 1 cell, but the header has 2"),
        ("a,b\n1,2,3\n", "rows.csv:2: 3 cells, but the header has 2"),
        ("a,b\n1,2\n3", "rows.csv:3: 1 cell, but the header has 2: is the file cut off?"),
        ('a,b\n1,2\n3,"4', "rows.csv:3: the file ends inside a quoted cell of this row"),
        (
            'a,b\n1,"2"x\n',
            'rows.csv:2: text follows a closing quote: inside a quoted cell a quote is written twice, ""',
        ),
        ("a,b\r1,2\r", "rows.csv:1: a lone CR outside quotes: lines must end with LF or CRLF"),
        ("a,,b\n1,2,3\n", "rows.csv:1: column 2 of the header has no name: give it one"),
        ("a,b, a\n1,2,3\n", "rows.csv:1: two columns of the header have the same name"),
        (b"a,b\n1,2\n3,S\xe3o\n", "rows.csv:3: is not UTF-8: pass --encoding, such as cp1252"),
        ('{"a":1}\n{"a":2}\n', "rows.csv: is JSON lines, not csv: pass --format jsonl"),
    ],
)
def test_table_that_cannot_be_used_is_one_line(file, text, line):
    assert line == refusal_of(file(text))


def test_lines_of_json_that_are_called_a_table_are_told_and_not_quoted(file):
    line = refusal_of(file(f'{{"n": "{MARKER}"}}\n', "rows.jsonl"), format="csv", required=("order_id",))

    assert "rows.jsonl: is JSON lines, not csv: pass --format jsonl" == line


def test_ragged_row_quotes_nothing(file):
    assert MARKER not in refusal_of(file(f"a,b\n{MARKER}\n"))


def test_column_that_is_missing_is_one_line_for_the_file(file):
    path = file(f"No,#\n1,{MARKER}\n")

    assert (
        "rows.csv:1: the header has no column order_id, cliente_id: rename one, or pass --map FIELD=COLUMN;"
        " it has No, #" == refusal_of(path, required=("order_id", "cliente_id"))
    )
    assert "rows.csv:1: the header has no column Nr, which --map order_id names; it has No, #" == (
        refusal_of(path, columns={"order_id": "Nr"})
    )


def test_map_of_no_field_of_the_task_is_named_where_a_column_is_missing(file):
    fields = ("order_id", "cliente_id")
    path = file("invoice,cliente_id\n1,2\n")

    assert (
        "rows.csv:1: the header has no column order_id: --map orderid names no field of the task,"
        " whose fields are order_id, cliente_id; it has invoice, cliente_id"
        == refusal_of(path, columns={"orderid": "invoice"}, required=fields, fields=fields)
    )


def test_field_beside_those_of_the_task_may_be_named(file):
    path, fields = file("order_id,Note\n1,2\n"), ("order_id",)

    assert [{"order_id": "1", "nota": "2"}] == payloads_of(
        path, columns={"nota": "Note"}, required=fields, fields=fields
    )


def test_columns_of_a_wide_header_are_listed_in_a_few_words(file):
    path = file(",".join(["x" * 41, *(f"c{n}" for n in range(2, 24))]) + "\n")

    line = refusal_of(path, required=("order_id",))

    assert f"; it has {'x' * 40}..., c2, " in line
    assert line.endswith(", c20, 3 more")


@pytest.mark.parametrize("cell", ["8", "-1,5", "$ 7", "2026-11-20", "11.222.333/0001-44", "ana@example.com"])
def test_first_line_that_holds_data_is_not_quoted(file, cell):
    line = refusal_of(file(f'{MARKER};"{cell}"\n'), required=("order_id",), delimiter=";")

    assert line.endswith("; does its first line hold data? it must name the columns")
    assert MARKER not in line


def test_map_names_columns(file):
    path = file("No,order_id,x\n1,9,2\n")

    assert [{"order_id": "1", "x": "2"}] == payloads_of(
        path, columns={"order_id": "No"}, required=("order_id",)
    )
    assert [{"a": "1", "b": "1", "order_id": "9", "x": "2"}] == payloads_of(
        path, columns={"a": "No", "b": "No"}
    )


def test_quote_that_is_never_closed_does_not_fill_the_memory(file, monkeypatch):
    monkeypatch.setattr(table, "MAX_LINE_BYTES", 1000)
    path = file('a,b\n1,"2\n' + "3,4\n" * 5000)

    assert "rows.csv:2: a row is longer than 1000 bytes: is a quote not closed?" == refusal_of(path)


def test_line_without_an_end_does_not_fill_the_memory(file, monkeypatch):
    monkeypatch.setattr(table, "MAX_LINE_BYTES", 1000)

    assert "rows.csv:2: a row is longer than 1000 bytes: is a quote not closed?" == refusal_of(
        file("a,b\n" + "x" * 5000)
    )


def test_long_cell_is_read(file):
    text = "Ana: oi " * 50_000

    assert [{"id": "1", "transcript": text}] == payloads_of(file(f"id,transcript\n1,{text}\n"))
