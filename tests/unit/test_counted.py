"""What a start counts of the rows that an earlier one ended."""

import pytest

from producer.progress.counts import Counts
from producer.progress.failures import FailureLines
from producer.progress.summary import summary
from producer.run.begin import go_on, open_journal
from producer.run.counted import Counted
from producer.run.journal import Round
from producer.run.output import Files
from producer.run.report import Report
from producer.run.sinks import Kept

ROUND = Round(name="nightly", uid="u1", task="rates.fetch", version="1", started=7.0, holder="host:1")
INVALID = {"kind": "invalid", "field": "currency", "reason": "is missing"}
LIMITED = {"kind": "transient", "reason": "rate_limited"}
ENDS = (
    Report(row=1, status="done", source="call", result=1),
    Report(row=2, status="invalid", error=INVALID),
    Report(row=3, status="failed", error=LIMITED),
    Report(row=4, status="superseded", error={"kind": "superseded", "reason": "a newer payload"}),
)


@pytest.fixture
def resumed(tmp_path):
    """Start a run again whose rows have ended; return what it counts, and says of rows that failed."""
    out, counts, lines = tmp_path / "out.jsonl", Counts(total=5), []
    with open_journal(out) as journal:
        go_on(journal, ROUND, out)
        journal.start()
        for report in ENDS:
            journal.add(report)
    failures = FailureLines(lines.append)
    with open_journal(out) as journal, Files(out) as files:
        past, _ = go_on(journal, ROUND, out)
        files.begin()
        sink = Counted(Kept(journal, files, past.lines), counts, failures)
        for row in range(1, 6):
            sink.line_of(row)
    failures.finish("out.errors.jsonl")
    return sink, counts, lines


def test_rows_that_failed_before_are_counted_as_what_they_are(resumed):
    sink, counts, _ = resumed

    assert (3, 1, 3, 0, 4) == (
        sink.failed,
        counts.skipped,
        counts.failed_before,
        counts.ended,
        counts.finished,
    )
    assert [
        "5 rows: 1 failed, 1 invalid, 1 superseded, 1 answered before",
        "without an answer: 1 rate_limited",
    ] == summary(counts, 1.0)[:2]


def test_retry_is_offered_for_rows_whose_input_is_not_at_fault(resumed):
    _, _, lines = resumed

    again = "--retry-failed asks again for 1 of them"
    assert [f"3 rows failed at an earlier start: see out.errors.jsonl; {again}"] == lines


def test_line_of_a_row_whose_key_a_later_row_has_names_that_row(tmp_path):
    lines = []
    with open_journal(tmp_path / "out.jsonl") as journal, Files(tmp_path / "out.jsonl") as files:
        files.begin()
        sink = Counted(Kept(journal, files), Counts(), FailureLines(lines.append))
        sink.line_of(1)
        sink.ended(Report(row=1, status="superseded", error=dict(ENDS[3].error), later_row=401))

    assert ["row 1: superseded a newer payload (row 401)"] == lines
