import pytest
from hypothesis import given
from hypothesis import strategies as st

from producer.inputs.cues import lines_of_cues
from producer.inputs.transcripts import id_of
from tests.unit.given_inputs import payloads_of, refusal_of, rows_of

TEAMS = """WEBVTT
Kind: captions

STYLE
::cue { color: red }

NOTE a note
of two lines

7b0f-1
00:00:01.000 --> 00:00:04.000 align:start
<v Ana Souza>Bom dia a <b>todos</b></v>

00:00:04.000 --> 00:00:06.000
<v Ana Souza>&amp; bem-vindos</v>

00:00:06.000 --> 00:00:08.000
<v.loud Bo>Oi <00:00:07.000>Ana</v>
<v Ana Souza>Oi</v>
"""
ZOOM = """WEBVTT

1
00:00:01.000 --> 00:00:04.000
Ana Souza: Bom dia.

2
00:00:04.000 --> 00:00:06.000
Ana Souza: At 09:30
we begin.

3
00:00:06.000 --> 00:00:08.000
at 10:00: a break

4
00:00:06.000 --> 00:00:08.000
a < b and b > c
"""
SRT = "1\r\n00:00:01,000 --> 00:00:02,000\r\nBo: one\r\n\r\n2\r\n00:00:02,000 --> 00:00:03,000\r\nBo: two\r\n"


@pytest.mark.parametrize(
    ("captions", "lines"),
    [
        (TEAMS, ["Ana Souza: Bom dia a todos & bem-vindos", "Bo: Oi Ana", "Ana Souza: Oi"]),
        (
            ZOOM,
            ["Ana Souza: Bom dia. At 09:30 we begin.", "at 10:00: a break", "a < b and b > c"],
        ),
        (SRT, ["Bo: one two"]),
        ("WEBVTT\n", [""]),
    ],
    ids=["voices", "names", "srt", "empty"],
)
def test_cues_of_one_speaker_are_one_line(captions, lines):
    assert lines == lines_of_cues(captions).split("\n")


@given(st.text(st.sampled_from("<v Ana>/:\n->& \r0"), max_size=60))
def test_any_captions_are_lines(text):
    assert all(line.strip() == line for line in lines_of_cues(text).split("\n"))


@pytest.fixture
def folder(tmp_path):
    folder = tmp_path / "meetings"
    folder.mkdir()
    (folder / "mtg-10.vtt").write_text(TEAMS)
    (folder / "mtg-9.txt").write_text("Ana: oi\n")
    (folder / "mtg-11.SRT").write_text(SRT)
    (folder / ".hidden.txt").write_text("no")
    (folder / "notes.md").write_text("no")
    (folder / "older").mkdir()
    (folder / "older" / "mtg-1.txt").write_text("no")
    return folder


def test_folder_of_transcripts_has_a_row_for_each(folder):
    found = rows_of(folder)

    assert ["mtg-9", "mtg-10", "mtg-11"] == [row.id for row in found]
    assert {"meeting_id": "mtg-9", "transcript": "Ana: oi\n"} == found[0].payload
    assert (
        "Ana Souza: Bom dia a todos & bem-vindos\nBo: Oi Ana\nAna Souza: Oi" == found[1].payload["transcript"]
    )
    assert [str(folder / "mtg-9.txt")] == [row.place for row in found[:1]]


def test_single_transcripts_are_rows_beside_other_inputs(folder, tmp_path):
    (tmp_path / "more.jsonl").write_text('{"meeting_id": "m", "transcript": "Bo: oi"}\n')

    assert ["mtg-9", "m"] == [
        each["meeting_id"] for each in payloads_of(folder / "mtg-9.txt", tmp_path / "more.jsonl")
    ]


def test_two_transcripts_of_one_id_are_reported_by_both_names(folder):
    (folder / "mtg-9.vtt").write_text(TEAMS)

    line = refusal_of(folder)

    assert "mtg-9.vtt: would have the same id as " in line
    assert line.endswith("mtg-9.txt: rename one of them")


def test_ids_are_compared_of_files_that_the_format_makes_transcripts(tmp_path):
    for name in ("a.log", "a.out"):
        (tmp_path / name).write_text("Ana: oi")

    assert "would have the same id as" in refusal_of(
        tmp_path / "a.log", tmp_path / "a.out", format="transcripts"
    )


def test_map_renames_the_fields_of_a_transcript(folder):
    assert [{"doc": "mtg-9", "text": "Ana: oi\n"}] == payloads_of(
        folder / "mtg-9.txt",
        columns={"doc": "meeting_id", "text": "transcript"},
        required=("doc", "text"),
    )


def test_task_that_needs_other_fields_is_refused_once(folder):
    line = refusal_of(folder, required=("order_id", "transcript"))

    assert line.endswith("is a transcript, which gives meeting_id and transcript; the task needs order_id")


def test_captions_without_their_first_line_are_a_bad_row(folder):
    (folder / "mtg-10.vtt").write_text("Ana: oi")

    bad = rows_of(folder)[1]

    assert ("mtg-10", "is not WebVTT: it does not begin with WEBVTT") == (bad.id, bad.reason)


def test_rows_in_a_text_file_are_not_taken_for_a_transcript(tmp_path):
    (tmp_path / "rows.txt").write_text('{"meeting_id": "m", "transcript": "Bo: oi"}\n')

    assert "rows.txt: is JSON lines, not transcripts: pass --format jsonl" == refusal_of(
        tmp_path / "rows.txt"
    )
    assert ["m"] == [each["meeting_id"] for each in payloads_of(tmp_path / "rows.txt", format="jsonl")]


def test_format_makes_a_transcript_of_any_file(tmp_path):
    (tmp_path / "talk.log").write_text("Ana: oi")

    assert [{"meeting_id": "talk", "transcript": "Ana: oi"}] == payloads_of(
        tmp_path / "talk.log", format="transcripts"
    )


@pytest.mark.parametrize("name", ["m/call.1.txt", "call.1.TXT.GZ", "call.1.vtt.gz", "call.1.srt"])
def test_id_is_the_name_without_its_ending(name):
    assert "call.1" == id_of(name)
