import os

import pytest

from producer.inputs import InputInvalid, Reading, columns_of, open_inputs
from tests.unit.given_inputs import payloads_of, refusal_of


@pytest.fixture
def parts(tmp_path):
    for number in (10, 2, 1):
        (tmp_path / f"part-{number}.jsonl").write_text(f'{{"n": {number}}}\n')
    return tmp_path


def test_several_files_are_read_in_the_order_of_their_names_on_the_line(parts):
    assert [{"n": 10}, {"n": 1}] == payloads_of(parts / "part-10.jsonl", parts / "part-1.jsonl")


def test_quoted_glob_is_read_in_natural_order(parts):
    assert [{"n": 1}, {"n": 2}, {"n": 10}] == payloads_of(parts / "part-*.jsonl")


def test_glob_of_all_depths_reads_files_and_no_folders(parts):
    deep = parts / "2026"
    deep.mkdir()
    (deep / "part-3.jsonl").write_text('{"n": 3}\n')

    assert [{"n": 3}, {"n": 1}, {"n": 2}, {"n": 10}] == payloads_of(parts / "**" / "*.jsonl")


def test_file_whose_name_looks_like_a_glob_is_read(tmp_path):
    (tmp_path / "a[1].jsonl").write_text('{"n": 1}\n')

    assert [{"n": 1}] == payloads_of(tmp_path / "a[1].jsonl")


def test_file_that_is_named_twice_is_read_once(parts):
    (parts / "again.jsonl").symlink_to(parts / "part-1.jsonl")

    assert [{"n": 1}, {"n": 2}] == payloads_of(
        *(parts / f"{name}.jsonl" for name in ("part-1", "again", "part-2", "part-1"))
    )


def test_names_are_those_of_the_files_found(parts):
    inputs = open_inputs([str(parts / "part-?.jsonl"), "-"])

    assert (str(parts / "part-1.jsonl"), str(parts / "part-2.jsonl"), "stdin") == inputs.names


def test_name_of_nothing_is_one_line(tmp_path):
    assert "nothing.jsonl: cannot be read: no such file or directory" == refusal_of(
        tmp_path / "nothing.jsonl"
    )
    assert "*.csv: matches no file" == refusal_of(tmp_path / "*.csv")
    for name in ("a" * 300, "a" * 300 + "*"):
        assert refusal_of(tmp_path / name).endswith(("cannot be read: file name too long", "matches no file"))
    for name in ("a\0b", os.fsdecode(b"a\xff.csv")):
        assert refusal_of(tmp_path / name).endswith(
            "cannot be read: its name is not UTF-8, or has a zero byte"
        )


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads every file")
def test_file_that_may_not_be_read_is_one_line(parts):
    (parts / "part-1.jsonl").chmod(0)

    assert "part-1.jsonl: cannot be read: permission denied" == refusal_of(parts / "part-1.jsonl")


def test_folder_is_for_transcripts(tmp_path):
    folder = tmp_path / "orders"
    folder.mkdir()

    assert (
        "orders: is a folder without .txt, .vtt or .srt files; folders inside it are not read"
        == refusal_of(folder)
    )
    assert f"orders: is a folder: name its files, such as '{folder}/*'".replace(
        f"{tmp_path}/", ""
    ) == refusal_of(folder, format="csv")


@pytest.mark.parametrize(
    ("reading", "line"),
    [
        ({"delimiter": ";;"}, '--delimiter: must be one character, or "tab"'),
        ({"delimiter": ""}, '--delimiter: must be one character, or "tab"'),
        ({"delimiter": '"'}, '--delimiter: must be one character, or "tab"'),
        ({"encoding": "utf-9"}, "--encoding: is no encoding of text that Python knows, such as cp1252"),
        ({"encoding": "base64"}, "--encoding: is no encoding of text that Python knows, such as cp1252"),
    ],
)
def test_option_that_cannot_be_honoured_is_refused_by_name(reading, line):
    with pytest.raises(InputInvalid) as caught:
        Reading(**reading)

    assert line == str(caught.value)


def test_map_names_the_column_of_each_field():
    assert {"order_id": "Order No", "cliente_id": "a=b"} == columns_of(
        ["order_id=Order No", " cliente_id = a=b "]
    )


@pytest.mark.parametrize("words", [["order_id"], ["=x"], ["x="], ["a=b", "a=c"]])
def test_map_of_another_form_is_refused(words):
    with pytest.raises(InputInvalid, match=r"^--map: "):
        columns_of(words)


def test_glob_and_folder_leave_the_output_out_and_a_plain_name_does_not(parts):
    out = parts / "part-2.jsonl"
    left_out = [out, parts / "part-2.jsonl.part"]

    def names(*typed):
        return [os.path.basename(name) for name in open_inputs(typed, left_out=left_out).names]  # noqa: PTH119  # as typed

    assert ["part-1.jsonl", "part-10.jsonl"] == names(str(parts / "*"))
    assert ["part-2.jsonl"] == names(str(out))
    with pytest.raises(InputInvalid, match=r"part-2\*: has no file but those of the output$"):
        names(str(parts / "part-2*"))


def test_empty_name_is_not_the_folder_where_the_shell_is(tmp_path, monkeypatch):
    (tmp_path / "notes.txt").write_text("Ana: We ship.\n")
    monkeypatch.chdir(tmp_path)

    assert "INPUT: a name is empty" == refusal_of("")
    assert 1 == len(payloads_of("."))


def test_output_whose_name_is_too_long_is_left_out_of_a_glob_without_a_word(parts):
    inputs = open_inputs([str(parts / "part-*.jsonl")], left_out=[parts / ("a" * 300)])

    assert 3 == len(inputs.names)
