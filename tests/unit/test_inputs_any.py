import gzip
from contextlib import suppress

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from askonce.rows import BadRow, Row
from producer.inputs import InputInvalid, Reading, open_inputs

#: What readers stumble over, to be put together in any way.
PIECES = [
    *(b"a,b;c\n", b'"', b"\n", b"\r", b"\r\n", b",", b";", b"\t", b" ", b"=", b"sep=;\n"),
    *(b"1", b"-", b".5e", b"NaN", b"true", b"{", b"}", b"[", b"]", b'{"a":1}', b'{"a":1,"a":2}\n'),
    *(b"\\", b"\\ud800", b"\xef\xbb\xbf", b"\xff\xfe", b"\xfe\xff", b"\0", b"\xff", b"\xe3"),
    *("ã".encode(), "\u2028".encode(), b"\x1f\x8b", b"<!doctype", b"%PDF-", b"PK\x03\x04"),
    *(b"WEBVTT\n\n", b"00:01 --> 00:02\n", b"<v Ana>", b"Bo: oi\n"),
]
CONTENTS = st.binary(max_size=40) | st.lists(st.sampled_from(PIECES), max_size=14).map(b"".join)
NAMES = st.sampled_from(["a.csv", "a.tsv", "a.json", "a.jsonl", "a.txt", "a.vtt", "a.srt", "a", "a.csv.gz"])
READINGS = st.builds(
    Reading,
    format=st.sampled_from([None, None, "jsonl", "json", "csv", "transcripts"]),
    delimiter=st.sampled_from([None, None, None, ";", "tab"]),
    encoding=st.sampled_from([None, None, None, "utf-8", "utf-16", "cp1252", "shift-jis", "utf-7"]),
    columns=st.sampled_from([{}, {}, {"x": "a"}]),
    required=st.sampled_from([(), (), ("a",)]),
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tmp_path_factory.mktemp("inputs")


@given(CONTENTS, NAMES, READINGS, st.booleans())
@example(b"a\rb,c\n", "a", Reading(), False)  # noqa: FBT003  # whether it is packed
def test_any_content_is_rows_or_one_line(folder, content, name, reading, packed):
    path = folder / name
    path.write_bytes(gzip.compress(content) if packed else content)
    inputs = open_inputs([str(path)], reading)

    with suppress(InputInvalid):
        count = inputs.check()
        rows = list(inputs.rows())
        # What passes the check is read to its end.
        assert count == len(rows)
        assert all(isinstance(row, Row | BadRow) for row in rows)
        assert list(range(1, count + 1)) == [row.number for row in rows]


@given(CONTENTS, NAMES, READINGS)
def test_what_passes_the_check_is_not_refused_later(folder, content, name, reading):
    path = folder / name
    path.write_bytes(content)
    inputs = open_inputs([str(path)], reading)
    try:
        inputs.check()
    except InputInvalid:
        return

    for _ in inputs.rows():
        pass
