import fcntl
import json
import os
import random
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest

from producer.run.begin import Paid, go_on, open_journal
from producer.run.errors import JournalInvalid, RunDiffers, RunTaken
from producer.run.journal import Journal, Round
from producer.run.output import beside
from producer.run.report import Report
from producer.run.sinks import Kept

ROUND = Round(name="nightly", uid="u1", task="rates.fetch", version="1", started=7.0, holder="host:1")


class Written:
    """An output that keeps its lines."""

    def __init__(self):
        self.rows, self.failed = [], []

    def write(self, line, failed):
        self.rows.append(json.loads(line)["row"])
        if failed:
            self.failed.append(self.rows[-1])

    def flush(self):
        pass


@pytest.fixture
def out(tmp_path):
    return tmp_path / "out.jsonl"


def reported(row, status="done", error=None, **more):
    return Report(row=row, status=status, error=error, result={"n": row}, **more)


def wanted(**words):
    return replace(ROUND, **words)


def start(out, rows, ends, **words):
    """One start of a run over *rows*, in which *ends* end; return what was asked and written."""
    written = Written()
    with open_journal(out) as journal:
        past, _ = go_on(journal, wanted(**words), out)
        kept = Kept(journal, written, past.lines, failed=past.again.failed, before=past.began_at)
        asked = [row for row in rows if kept.line_of(row) is None]
        for report in ends:
            kept.ended(report)
        kept.sync()
    return asked, written, past


def test_what_ended_before_a_group_is_sent_is_on_the_disk_with_the_group(out):
    with open_journal(out) as journal:
        _, round_ = go_on(journal, wanted(), out)
        kept = Kept(journal, Written())
        kept.ended(reported(1))
        kept.send([2, 3])
        # A killed process leaves no more than that.
        left = beside(out, "journal").read_bytes()
        kept.send([5])
    out_again = out.with_name("again.jsonl")
    beside(out_again, "journal").write_bytes(left)

    with open_journal(out_again) as journal:
        past, again = go_on(journal, wanted(), out)
        kept = Kept(journal, Written(), past.lines, past.sent)

        assert round_ == again
        assert [False, True, True] == [kept.line_of(row) is None for row in (1, 2, 3)]
        assert [0, 1, 1, 0, 0] == [kept.group_of(row) for row in (1, 2, 3, 4, 5)]


def test_groups_of_an_earlier_round_are_forgotten(out):
    with open_journal(out) as journal:
        go_on(journal, wanted(), out)
        journal.send([1, 2])

    _, _, past = start(out, [1, 2], [], refresh=True, uid="u2")

    assert not any(past.sent)


def test_run_goes_on_where_it_was_killed(out):
    start(out, range(1, 6), [reported(2), reported(4)])

    asked, written, _ = start(out, range(1, 6), [reported(5), reported(1), reported(3)])

    assert ([1, 3, 5], [1, 2, 3, 4, 5]) == (asked, written.rows)


def test_output_is_in_the_order_of_the_input_however_rows_end(out):
    rows = list(range(1, 101))
    ends = [reported(row, error={"kind": "x"} if row % 7 == 0 else None) for row in rows]
    random.Random(3).shuffle(ends)

    _, written, _ = start(out, rows, ends)

    assert rows == written.rows
    assert [row for row in rows if row % 7 == 0] == written.failed


@pytest.mark.parametrize("cut", range(1, 40))
def test_line_that_a_killed_process_left_half_written_is_cut_off(out, cut):
    start(out, [1, 2], [reported(1), reported(2)])
    journal = out.with_name("out.jsonl.journal")
    os.truncate(journal, journal.stat().st_size - cut)

    asked, written, _ = start(out, [1, 2], [reported(2)])

    assert ([2], [1, 2]) == (asked, written.rows)


def test_rows_that_wait_for_a_server_or_were_cancelled_are_asked_for_again(out):
    error = {"kind": "unavailable"}
    ends = [reported(1, "timeout", error), reported(2, "unavailable", error), reported(3, "cancelled", error)]
    start(out, [1, 2, 3, 4], [*ends, reported(4, "failed", error)])

    asked, _, _ = start(out, [1, 2, 3, 4], [])

    assert [1, 2, 3] == asked


def test_failed_rows_are_asked_for_again_once_a_round(out):
    error = {"kind": "permanent"}
    rows = [1, 2, 3]
    start(out, rows, [reported(1, "failed", error), reported(2), reported(3, "failed", error)])

    asked, _, _ = start(out, rows, [reported(3, "failed", error)], retry_failed=True, uid="u2")
    rest, _, past = start(out, rows, [], retry_failed=True, uid="u3")

    assert ([1, 3], [1]) == (asked, rest)
    # The same words go on with the round: its jobs are the same.
    assert ("u2", 2) == (past.round.uid, past.round.number)


def test_row_whose_key_has_other_content_is_no_failed_one(out):
    start(out, [1, 2], [reported(1, "superseded", {"kind": "superseded"}), reported(2)])

    asked, _, _ = start(out, [1, 2], [], retry_failed=True, uid="u2")

    assert [] == asked


def test_refresh_asks_for_all_rows_again_and_goes_on_where_it_was_killed(out):
    start(out, [1, 2], [reported(1), reported(2)])

    asked, _, _ = start(out, [1, 2], [reported(2)], refresh=True, not_before=50.0, uid="u2")
    rest, written, past = start(out, [1, 2], [reported(1)], refresh=True, not_before=90.0, uid="u3")

    assert ([1, 2], [1]) == (asked, rest)
    assert [1, 2] == written.rows
    assert (50.0, "u2") == (past.round.not_before, past.round.uid)


def end(out):
    with open_journal(out) as journal:
        go_on(journal, wanted(), out)
        journal.end()


def test_refresh_of_some_rows_leaves_their_answers_to_the_others(out):
    start(out, [1, 2, 3], [reported(1), reported(2), reported(3)])
    start(out, [1], [reported(1)], refresh=True, not_before=50.0, uid="u2", sample=1)
    end(out)

    asked, written, past = start(out, [1, 2, 3, 4], [])

    assert ([4], [1, 2, 3]) == (asked, written.rows)
    # Who asks for nothing anew takes any answer.
    assert (None, False) == (past.round.not_before, past.round.refresh)


def test_refresh_that_is_interrupted_leaves_no_answer_to_the_others(out):
    start(out, [1, 2, 3], [reported(1), reported(2), reported(3)])
    start(out, [1, 2, 3], [reported(1)], refresh=True, not_before=50.0, uid="u2")

    asked, _, past = start(out, [1, 2, 3], [])

    assert ([2, 3], 50.0) == (asked, past.round.not_before)


def leave(out, rows, ends, **words):
    """Send *rows* as one group, and be killed after *ends*."""
    with open_journal(out) as journal:
        past, _ = go_on(journal, wanted(**words), out)
        journal.send(rows)
        for report in ends:
            journal.add(report)
    return past


def test_rows_that_a_round_left_under_way_keep_their_jobs_while_failures_are_asked_for_again(out):
    error = {"kind": "permanent"}
    leave(out, [1, 2, 3, 4], [reported(1), reported(2, "failed", error), reported(3, "timeout", error)])

    first = leave(out, [2, 3, 4], [], retry_failed=True, uid="u2")
    again = leave(out, [2, 3, 4], [reported(2, "failed", error)], retry_failed=True, uid="u3")
    end(out)
    later = leave(out, [2, 3, 4], [], retry_failed=True, uid="u4")

    assert [{3: "u1", 4: "u1"}] * 3 == [first.uids, again.uids, later.uids]
    # What was sent apart is sent apart again.
    assert ([0, 0, 0, 1, 1], [0, 0, 0, 3, 3]) == (first.sent.tolist(), later.sent.tolist())
    assert {} == leave(out, [], [], refresh=True, uid="u5").uids


def test_row_whose_failure_was_asked_for_again_keeps_the_job_of_that_round(out):
    leave(out, [1], [reported(1, "failed", {"kind": "permanent"})])
    leave(out, [1], [], retry_failed=True, uid="u2")
    end(out)

    assert {1: "u2"} == leave(out, [1], [], retry_failed=True, uid="u3").uids


def test_round_that_ended_is_followed_by_a_new_one(out):
    start(out, [1], [reported(1)], refresh=True, not_before=50.0)
    end(out)

    asked, _, past = start(out, [1], [], refresh=True, not_before=90.0, uid="u2")

    assert ([1], 90.0, "u2") == (asked, past.round.not_before, past.round.uid)


def test_what_all_rounds_paid_is_known_to_the_millionth(out):
    start(out, [1, 2], [reported(1, cost_usd=0.1, calls=1), reported(2, cost_usd=0.2, calls=2)])

    _, _, past = start(out, [1, 2], [reported(1, cost_usd=None, calls=1)], refresh=True, not_before=50.0)
    _, _, past = start(out, [1, 2], [])

    assert Paid(micro_usd=300_000, calls=4, unpriced=1) == past.paid


@pytest.mark.parametrize("differs", ["task", "version", "tenant", "inputs", "digest", "name"])
def test_journal_of_another_run_is_left_alone(out, differs):
    start(out, [1], [reported(1)])
    before = out.with_name("out.jsonl.journal").read_bytes()

    with pytest.raises(RunDiffers) as refused:
        start(out, [1], [], **{differs: ("x",) if differs == "inputs" else "x"})

    assert differs == refused.value.differs
    assert before == out.with_name("out.jsonl.journal").read_bytes()


def test_start_without_a_name_goes_on_with_the_run_of_the_journal(out):
    start(out, [1], [reported(1)])

    with open_journal(out) as journal:
        _, round_ = go_on(journal, wanted(name="made of other words"), out, is_named=False)

    assert "nightly" == round_.name


def test_age_of_answers_that_the_run_began_without_is_refused(out):
    start(out, [1], [reported(1)])

    with pytest.raises(RunDiffers) as refused:
        start(out, [1], [], not_before=50.0)

    assert "max_age" == refused.value.differs


def test_fallback_of_an_earlier_start_is_a_failure_on_request(out):
    start(out, [1, 2], [reported(1, source="default"), reported(2, source="call")])

    with open_journal(out) as journal:
        past, _ = go_on(journal, wanted(), out, strict=True)

        assert [True, False] == [past.lines[row].failed for row in (1, 2)]


@pytest.mark.parametrize("line", [b"[]\n", b"{}\n", b"text\n", b'{"row":"1"}\n', b"\0\n"])
def test_journal_that_something_else_wrote_to_is_refused(out, line):
    start(out, [1], [reported(1)])
    with out.with_name("out.jsonl.journal").open("ab") as stream:
        stream.write(line)

    with pytest.raises(JournalInvalid) as refused:
        start(out, [1], [])

    assert 3 == refused.value.line


def test_field_that_a_newer_version_wrote_is_left_out():
    assert ROUND == Round.of({**json.loads(ROUND.to_json())["run"], "newer": 1})


@pytest.mark.parametrize("ends", [[], [reported(1)]], ids=["new", "goes on"])
def test_one_process_at_a_time_has_a_run(out, ends):
    start(out, [1], ends)
    with open_journal(out) as journal:
        go_on(journal, wanted(holder="host:2"), out)
        journal.start()
        with pytest.raises(RunTaken) as refused:
            open_journal(out)

    assert "host:2" == refused.value.holder
    open_journal(out).__exit__()


@pytest.mark.parametrize("words", [{}, {"refresh": True, "not_before": 50.0}, {"retry_failed": True}])
def test_start_that_is_refused_before_it_sends_leaves_the_journal_as_it_was(out, words):
    start(out, [1, 2], [reported(1), reported(2, "failed", {"kind": "permanent"})])
    before = beside(out, "journal").read_bytes()

    start(out, [1, 2], [], **words, uid="u2")

    assert before == beside(out, "journal").read_bytes()


def test_start_that_is_refused_before_its_run_begins_leaves_no_journal(out):
    start(out, [1], [])

    assert [] == list(out.parent.iterdir())


def test_start_that_opens_a_journal_while_another_one_removes_it_opens_its_own(out, monkeypatch):
    lock, first = fcntl.flock, open_journal(out)

    def removed_before(stream, how):
        monkeypatch.setattr("fcntl.flock", lock)
        first.__exit__()
        lock(stream, how)

    monkeypatch.setattr("fcntl.flock", removed_before)
    with open_journal(out) as journal:
        journal.end()

    journal_of = beside(out, "journal")
    assert journal_of.exists()
    assert b'{"end":true}\n' == journal_of.read_bytes()


def test_run_of_a_killed_process_is_free(out):
    root = Path(__file__).parents[2]
    program = (
        "import os, pathlib, sys; from producer.run.begin import open_journal;"
        "held = open_journal(pathlib.Path(sys.argv[1])); os.kill(os.getpid(), 9)"
    )
    subprocess.run([sys.executable, "-c", program, str(out)], cwd=root, check=False)

    open_journal(out).__exit__()


def test_long_line_is_read_back_whole(tmp_path):
    with Journal.open(tmp_path / "j") as journal:
        offsets = [journal.add(reported(1, id="x" * size)) for size in (1, 50_000, 16_384, 3)]

        assert [1, 50_000, 16_384, 3] == [len(json.loads(journal.line_at(each))["id"]) for each in offsets]
