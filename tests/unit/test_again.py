"""A round asks again for the rows that it was begun for; a start that goes on with it, for no others."""

from dataclasses import replace

import pytest

from producer.run.again import HowAsked, drawn, has_all_of
from producer.run.begin import go_on, open_journal
from producer.run.errors import RunDiffers
from producer.run.journal import Round
from producer.run.output import Files
from producer.run.report import Report
from producer.run.sinks import Kept
from producer.run.wanted import Wanted

PLAIN = Round(
    name="nightly", uid="u1", task="rates.fetch", version="1", started=7.0, holder="host:1", total=6
)
ROWS = range(1, 7)
#: Of six rows.
DRAWN = drawn(2, 6)
OTHERS = set(ROWS) - DRAWN

REFRESH = replace(PLAIN, uid="u2", refresh=True, not_before=50.0)
RETRY = replace(PLAIN, uid="u3", retry_failed=True)
FAILED = {"kind": "permanent"}
AS_BEFORE = HowAsked(retries_failure=False, not_before=None)
ANEW = HowAsked(retries_failure=True, not_before=50.0)


@pytest.fixture
def out(tmp_path):
    return tmp_path / "out.jsonl"


def start(out, round_=PLAIN, ends=(), sent=(), *, is_whole=False):
    """One start of a run in which *ends* end; return which rows had no end at its begin, and its past."""
    with open_journal(out) as journal, Files(out) as files:
        past, _ = go_on(journal, round_, out)
        kept = Kept(journal, files, past.lines, failed=past.again.failed, before=past.began_at)
        asked = [row for row in ROWS if not kept.has_end(row)]
        journal.start()
        if sent:
            journal.send(sent)
        for row in ends:
            journal.add(Report(row=row, status="done"))
        if is_whole:
            journal.end()
    return asked, past


def fail(out, *rows):
    with open_journal(out) as journal:
        go_on(journal, PLAIN, out)
        for row in ROWS:
            failed = row in rows
            journal.add(
                Report(row=row, status="failed" if failed else "done", error=FAILED if failed else None)
            )


@pytest.mark.parametrize(("words", "rows"), [({"limit": 2}, {1, 2}), ({"sample": 2}, DRAWN), ({}, set(ROWS))])
def test_refresh_that_is_interrupted_is_finished_for_its_own_rows(out, words, rows):
    start(out, ends=ROWS)
    done = min(rows)
    start(out, replace(REFRESH, **words), ends=[done])

    asked, past = start(out)

    assert sorted(rows - {done}) == asked
    assert {ANEW} == {past.again.of(row) for row in asked}


@pytest.mark.parametrize("words", [{"limit": 2}, {"sample": 2}])
def test_other_rows_without_an_end_are_asked_for_as_without_a_refresh(out, words):
    start(out)
    start(out, replace(REFRESH, **words))

    asked, past = start(out)

    others = [row for row in ROWS if past.again.of(row) == AS_BEFORE]
    assert ([*ROWS], 4) == (asked, len(others))


def test_rows_under_way_keep_their_jobs_while_others_are_made_anew(out):
    start(out, sent=[*ROWS], ends=[1])
    start(out, replace(REFRESH, sample=2))

    _, past = start(out)

    assert dict.fromkeys(OTHERS - {1}, "u1") == past.uids
    assert OTHERS - {1} == {row for row, group in enumerate(past.sent) if group}


@pytest.mark.parametrize(("words", "rows"), [({"limit": 3}, {2, 3}), ({}, {2, 3, 5})])
def test_failures_are_asked_for_again_by_a_later_start_where_the_interrupted_one_did(out, words, rows):
    fail(out, 2, 3, 5)
    start(out, replace(RETRY, **words))

    asked, past = start(out)

    assert sorted(rows) == asked
    assert {True} == {past.again.of(row).retries_failure for row in asked}
    assert words == {} or not past.again.of(5).retries_failure


@pytest.mark.parametrize("first", [REFRESH, RETRY])
@pytest.mark.parametrize(
    ("began", "wants", "uid"),
    [
        ({"limit": 3}, {"limit": 3}, "began"),
        ({"limit": 3}, {"limit": 2}, "began"),
        ({"limit": 3}, {"limit": 4}, "later"),
        ({"limit": 3}, {}, "later"),
        ({"sample": 3}, {"sample": 3}, "began"),
        ({"sample": 3}, {}, "later"),
        ({}, {"sample": 3}, "began"),
        ({}, {"limit": 3}, "began"),
    ],
)
def test_words_that_ask_for_more_rows_again_begin_anew(out, first, began, wants, uid):
    start(out, ends=ROWS)
    start(out, replace(first, uid="began", **began))

    _, past = start(out, replace(first, uid="later", **wants))

    assert uid == past.round.uid


def test_answers_too_old_for_a_refresh_are_too_old_for_its_failures_only(out):
    fail(out, *ROWS)
    start(out, replace(REFRESH, limit=2), ends=[1], is_whole=True)

    _, past = start(out, RETRY)

    assert [50.0, 50.0, None] == [past.again.of(row).not_before for row in (1, 2, 3)]


def test_age_of_answers_holds_for_rows_that_a_refresh_leaves_out(out):
    aged = replace(PLAIN, not_before=40.0)
    start(out, aged)
    start(out, replace(REFRESH, limit=2))

    _, past = start(out, replace(aged, not_before=60.0))

    assert [50.0, 40.0] == [past.again.of(row).not_before for row in (2, 3)]


def test_age_of_answers_is_refused_where_a_refresh_leaves_rows_of_any_age_out(out):
    start(out)
    start(out, replace(REFRESH, limit=2))

    with pytest.raises(RunDiffers, match="max_age"):
        start(out, replace(PLAIN, not_before=60.0))


@pytest.mark.parametrize(
    ("began", "wants", "whole"),
    [
        ({}, {}, True),
        ({}, {"limit": 5}, False),
        ({}, {"sample": 5}, False),
        ({"limit": 5}, {}, True),
        ({"limit": 5}, {"limit": 5}, True),
        ({"limit": 5}, {"limit": 4}, False),
        ({"sample": 5}, {"sample": 5}, True),
        ({"sample": 5}, {"limit": 5}, False),
    ],
)
def test_round_ends_with_all_the_rows_that_it_was_begun_for(out, began, wants, whole):
    words = Wanted(task="rates.fetch", inputs=("rows.jsonl",), out=out, **wants)

    assert whole == has_all_of(words, replace(PLAIN, **began))
