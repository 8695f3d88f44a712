import gzip
import io
import os
import sys
from threading import Thread
from types import SimpleNamespace

import pytest

from askonce.rows import BadRow
from producer.inputs import InputInvalid, Reading, open_inputs
from tests.deadlines import stretched
from tests.unit.given_inputs import payloads_of, refusal_of, rows_of

TABLE = "id;name\n1;Ana São João\n2;Bo\n"
ROWS = [{"id": "1", "name": "Ana São João"}, {"id": "2", "name": "Bo"}]


@pytest.fixture
def stdin(monkeypatch):
    def give(content):
        monkeypatch.setattr(sys, "stdin", SimpleNamespace(buffer=io.BufferedReader(io.BytesIO(content))))

    return give


@pytest.fixture
def file(tmp_path):
    def write(content, name="rows.csv"):
        path = tmp_path / name
        path.write_bytes(content)
        return path

    return write


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
def test_byte_order_mark_names_the_encoding(file, encoding):
    assert ROWS == payloads_of(file(TABLE.encode(encoding)))
    assert ROWS == payloads_of(file(TABLE.encode(encoding)), encoding=encoding)


@pytest.mark.parametrize("encoding", ["cp1252", "utf-16-le", "utf-16-be", "latin-1"])
def test_encoding_that_is_named_is_used(file, encoding):
    assert ROWS == payloads_of(file(TABLE.encode(encoding)), encoding=encoding)


def test_excels_unicode_text_is_read(file):
    assert ROWS == payloads_of(file(TABLE.replace(";", "\t").encode("utf-16"), "rows"))


def test_json_lines_may_have_another_encoding(file):
    assert [{"name": "São"}] == payloads_of(file('{"name": "São"}\n'.encode("utf-16"), "rows.jsonl"))


@pytest.mark.parametrize("name", ["rows.csv", "rows.jsonl", "rows"])
@pytest.mark.parametrize("encoding", ["utf-16-le", "utf-16-be"])
def test_utf_16_without_a_mark_is_one_line(file, encoding, name):
    line = refusal_of(file(TABLE.encode(encoding), name))

    assert (
        f"{name}: looks like UTF-16 without a mark: pass --encoding {encoding}, or save it as UTF-8" == line
    )


@pytest.mark.parametrize("place", [60, 61])
def test_single_zero_byte_is_not_taken_for_utf_16(file, place):
    text = TABLE.encode() * 4
    content = text[:place] + b"\0" + text[place:]

    assert "rows.csv: is binary: it has zero bytes, and text in UTF-8 has none" == refusal_of(file(content))


def test_mark_of_another_encoding_than_the_named_one_is_reported(file):
    line = refusal_of(file(TABLE.encode("utf-16")), encoding="cp1252")

    assert "rows.csv: has the byte order mark of UTF-16-LE: leave --encoding out" == line


def test_encoding_that_does_not_fit_is_reported(file):
    assert "rows.csv: is not ascii: pass another --encoding" == refusal_of(
        file(TABLE.encode()), encoding="ascii"
    )


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"%PDF-1.7\n%\xe2\xe3", "is a PDF: export its content as CSV, JSON lines or text"),
        (
            b"PK\x03\x04\x14\0",
            "is a zip archive, or an Excel or Word file: unpack it, or save it as CSV or as text",
        ),
        (b"PAR1\x15\x04", "is a Parquet file: export it as CSV or JSON lines"),
        (b"\x28\xb5\x2f\xfd\x04", "is packed with zstd: unpack it, or pack it with gzip"),
        (b"{\\rtf1\\ansi}", "is an RTF document: save it as plain text"),
        (b"<!DOCTYPE html>\n<p>", "is HTML or XML, not rows"),
        (b"\x7fELF\x02\0\0\x01", "is binary: it has zero bytes, and text in UTF-8 has none"),
    ],
)
@pytest.mark.parametrize("name", ["rows.jsonl", "rows.csv", "rows.json"])
def test_file_that_holds_no_rows_is_one_line(file, content, what, name):
    path = file(content, name)

    assert f"{name}: {what}" == refusal_of(path)
    assert f"{name}: {what}" == refusal_of(file(gzip.compress(content), name))


def test_gzip_is_unpacked_whatever_its_name(file):
    assert ROWS == payloads_of(file(gzip.compress(TABLE.encode()), "rows.csv.gz"))
    assert ROWS == payloads_of(file(gzip.compress(TABLE.encode()), "rows.csv"))
    two = gzip.compress(TABLE[:9].encode()) + gzip.compress(TABLE[9:].encode())
    assert ROWS == payloads_of(file(two, "rows.csv.gz"))


def test_gzip_that_is_cut_off_or_damaged_is_one_line(file):
    packed = gzip.compress("".join(f'{{"n":{n}}}\n' for n in range(9999)).encode())
    flaw = len(packed) // 2

    assert "rows.jsonl.gz: is a gzip file that is cut off: its end is missing" == refusal_of(
        file(packed[:-9], "rows.jsonl.gz")
    )
    damaged = packed[:flaw] + bytes(255 - byte for byte in packed[flaw : flaw + 99]) + packed[flaw + 99 :]
    assert "rows.jsonl.gz: is a damaged gzip file" == refusal_of(file(damaged, "rows.jsonl.gz"))


def test_name_without_an_ending_leaves_it_to_the_content(file):
    assert [{"n": 1}] == payloads_of(file(b'\n {"n":1}\n', "rows"))
    assert [{"n": 1}] == payloads_of(file(b'\n [{"n":1}]\n', "rows"))
    assert ROWS == payloads_of(file(TABLE.encode(), "rows"))
    assert [] == payloads_of(file(b"", "rows"))
    assert "rows: has no format that shows: pass --format jsonl, json, csv or transcripts" == refusal_of(
        file(b"once upon a time\n", "rows")
    )


def test_stdin_is_read_by_its_content(stdin):
    stdin(b'{"n":1}\n')
    assert [{"n": 1}] == payloads_of("-")
    stdin(gzip.compress(TABLE.encode()))
    assert ROWS == payloads_of("-")


def test_stdin_can_be_read_once_and_has_no_digest(stdin):
    stdin(b'{"n":1}\n')
    inputs = open_inputs(["-", "-"])

    assert (False, "", None) == (inputs.replayable, inputs.digest(), inputs.check())
    assert ["stdin:1"] == [row.place for row in inputs.rows()]
    with pytest.raises(InputInvalid, match=r"^stdin: can be read only once$"):
        list(inputs.rows())


def test_stdin_that_is_closed_is_one_line(monkeypatch):
    monkeypatch.setattr(sys, "stdin", None)

    with pytest.raises(InputInvalid, match=r"^stdin: is closed$"):
        list(open_inputs(["-"]).rows())


def test_delimiter_says_that_stdin_is_a_table(stdin):
    stdin(b"id\n1\n")
    assert [{"id": "1"}] == payloads_of("-", delimiter=";")
    stdin(b"")
    assert [] == payloads_of("-", delimiter=";")


def test_ragged_table_of_stdin_is_refused_at_its_row(stdin):
    stdin(b"a,b\n1,2\n3\n")
    rows = open_inputs(["-"]).rows()

    assert {"a": "1", "b": "2"} == next(rows).payload
    with pytest.raises(InputInvalid, match=r"^stdin:3: 1 cell, but the header has 2$"):
        next(rows)


def test_row_of_a_pipe_is_there_before_the_next_one(tmp_path, eventually):
    pipe, found = tmp_path / "rows.jsonl", []
    os.mkfifo(pipe)

    def read():
        found.extend(row.payload["n"] for row in open_inputs([str(pipe)]).rows())

    reader = Thread(target=read, daemon=True)
    reader.start()

    with pipe.open("wb", buffering=0) as rows:
        for number in range(3):
            rows.write(f'{{"n":{number}}}\n'.encode())
            eventually(lambda number=number: number in found)

    reader.join(stretched(10))
    assert [0, 1, 2] == found


def test_transcript_that_is_no_text_is_a_bad_row_and_the_others_are_read(file, tmp_path):
    file(b"%PDF-1.7", "a.txt")
    file(b"Ana: oi", "b.txt")
    file(gzip.compress(b"Bo: oi")[:-4], "c.txt.gz")
    file("São".encode("cp1252"), "d.txt")

    a, b, c, d = rows_of(tmp_path)

    assert "is a PDF: export its content as CSV, JSON lines or text" == a.reason
    assert {"meeting_id": "b", "transcript": "Ana: oi"} == b.payload
    assert "is a gzip file that is cut off: its end is missing" == c.reason
    assert ("d", "transcript", "is not UTF-8: pass --encoding, such as cp1252") == (d.id, d.field, d.reason)
    assert isinstance(c, BadRow)


def test_delimiter_is_refused_for_what_is_no_table(file):
    with pytest.raises(InputInvalid, match=r"rows\.jsonl: is no CSV: --delimiter does not apply$"):
        open_inputs([str(file(b'{"n":1}\n', "rows.jsonl"))], Reading(delimiter=";")).check()
