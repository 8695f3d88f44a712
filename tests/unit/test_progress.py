import json
import os
from collections import Counter
from io import StringIO, TextIOWrapper
from itertools import count
from threading import Event

import pytest
from click.testing import CliRunner

from producer import __main__ as command_line
from producer.progress import reporter
from producer.progress.counts import OTHER_REASONS, Counts
from producer.progress.failures import FailureLines
from producer.progress.lines import JsonLines, OnlyLines, TextLines
from producer.progress.reporter import Progress, new_progress
from producer.progress.terminal import Terminal
from tests.deadlines import stretched


class Tty(StringIO):
    def isatty(self):
        return True


class Gone(StringIO):
    def write(self, text):
        raise OSError(28, "No space left on device")


class Recording(OnlyLines):
    """A view that keeps what it is to show, and says when it drew."""

    first = interval = 0.001
    unchanged = 60.0

    def __init__(self):
        super().__init__(None)
        self.moments, self.drew, self.ended = [], Event(), []

    def draw(self, moment):
        self.moments.append(moment)
        self.drew.set()

    def finish(self, moment, lines):
        self.ended.append((moment, list(lines)))


@pytest.fixture
def view():
    return Recording()


def ended(stream):
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_first_line_is_written_at_once():
    stream = StringIO()
    with new_progress(stream, shown="text") as progress:
        progress.start("orders.enrich", ["orders.csv", "more.csv", "most.csv"])

        assert "orders.enrich: reading orders.csv and 2 more\n" == stream.getvalue()


def test_run_is_drawn_while_nobody_updates(view):
    counts = Counts()
    with Progress(view) as progress:
        progress.start("t", [])
        progress.update(counts)
        assert view.drew.wait(stretched(10))
        view.drew.clear()
        counts.end("done", source="call")
        assert view.drew.wait(stretched(10))

    assert [0, 1] == [moment.counts.ended for moment in view.moments]


def test_unchanged_run_is_drawn_again_only_after_its_time(view):
    ticks = count()
    progress = Progress(view, clock=lambda: 10.0 * next(ticks))
    progress.update(Counts())

    for _ in range(14):
        progress._draw()

    # The rows stand still: one drawing in 60 s, while there is a look each 10 s.
    assert 3 == len(view.moments)


def test_drawn_counts_do_not_change_under_the_drawing(view):
    counts, progress = Counts(), Progress(view)
    progress.update(counts)
    progress._draw()

    counts.end("failed", reason="timeout")

    assert (0, Counter(), Counter()) == tuple(
        getattr(view.moments[0].counts, name) for name in ("ended", "by_status", "by_reason")
    )


def test_wait_is_shown_with_its_time_and_without_an_end(view):
    ticks = count(100)
    progress = Progress(view, clock=ticks.__next__)
    progress._rate.look(0, 0)
    counts = Counts(total=1000)
    counts.ended = 500
    progress.update(counts)
    progress.wait("the provider", 12)
    progress._draw()
    progress.go_on()
    progress._draw()

    [waits, goes_on] = view.moments
    assert ("the provider", 13) == waits.wait
    assert waits.seconds_left is None
    assert goes_on.wait is None
    assert goes_on.seconds_left > 0


def test_end_is_shown_once(view):
    with Progress(view) as progress:
        progress.start("t", [])
        progress.update(Counts(rows=3))
        progress.finish(["3 rows"])

    [(moment, lines)] = view.ended
    assert (3, ["3 rows"]) == (moment.counts.rows, lines)


def test_end_is_shown_after_a_first_try_was_interrupted(view, monkeypatch):
    def interrupted():
        raise KeyboardInterrupt

    progress = Progress(view)
    progress.start("t", [])
    thread = progress._thread
    with monkeypatch.context() as patch:
        patch.setattr(thread, "join", interrupted)
        with pytest.raises(KeyboardInterrupt):
            progress.finish(["1 row"])
    progress.finish()

    assert 1 == len(view.ended)
    assert not thread.is_alive()


def test_unchanged_run_is_drawn_at_once_when_it_waits_for_something_else(view):
    progress = Progress(view, clock=lambda: 0.0)
    progress.update(Counts())
    for why in ("a pause", "a pause", "the provider"):
        progress.wait(why)
        progress._draw()

    assert ["a pause", "the provider"] == [moment.wait.why for moment in view.moments]


def test_full_disk_does_not_end_the_run():
    with new_progress(Gone(), shown="json") as progress:
        try:
            progress.start("t", [])
            progress.update(Counts())
            progress.note("a")
            progress.error("b")
            progress.finish(["c"])
        except OSError as full:
            pytest.fail(f"the run ends: {full}")


def test_closed_stderr_does_not_end_the_run():
    with new_progress(None) as progress:
        progress.start("t", [])
        progress.error("b")


@pytest.mark.parametrize(
    ("stream", "given", "term", "view"),
    [
        (Tty(), {}, "xterm", Terminal),
        (Tty(), {}, "dumb", TextLines),
        (Tty(), {"shared": True}, "xterm", TextLines),
        (Tty(), {"shared": True, "shown": "terminal"}, "xterm", Terminal),
        (Tty(), {"shown": "json"}, "xterm", JsonLines),
        (Tty(), {"shown": "none"}, "xterm", OnlyLines),
        (Tty(), {"quiet": True, "shown": "json"}, "xterm", OnlyLines),
        (StringIO(), {}, "xterm", JsonLines),
        (StringIO(), {"shared": True}, "xterm", JsonLines),
        (StringIO(), {"shown": "terminal"}, "xterm", Terminal),
        (StringIO(), {"shown": "text"}, "xterm", TextLines),
    ],
)
def test_display_fits_the_stream_and_the_options(monkeypatch, stream, given, term, view):
    monkeypatch.setitem(os.environ, "TERM", term)

    assert type(new_progress(stream, **given)._view) is view


def test_none_shows_notes_and_quiet_shows_only_errors():
    none, quiet = StringIO(), StringIO()
    for progress in (new_progress(none, shown="none"), new_progress(quiet, quiet=True)):
        progress.start("t", ["a"])
        progress.note("note")
        progress.error("error")
        progress.finish(["1 row"])

    assert ("note\nerror\n1 row\n", "error\n") == (none.getvalue(), quiet.getvalue())


def test_each_line_of_json_names_its_event():
    stream, counts = StringIO(), Counts(total=2)
    with new_progress(stream, shown="json") as progress:
        progress.start("orders.enrich", ["a.csv", "b.csv"])
        progress.update(counts)
        counts.end("done", source="call")
        counts.pay(None)
        progress.note("no worker takes the queue\x1b[2J")
        progress.error("a.csv:2: té")
        progress._draw()
        progress.finish(["1 row"])

    lines = ended(stream)
    assert ["started", "note", "error", "progress", "note", "ended"] == [line["event"] for line in lines]
    assert {"event": "started", "task": "orders.enrich", "inputs": ["a.csv", "b.csv"]} == lines[0]
    assert ("no worker takes the queue\x1b[2J", "a.csv:2: té") == (lines[1]["line"], lines[2]["line"])
    known = {"ended": 1, "total": 2, "by_status": {"done": 1}, "by_source": {"call": 1}, "unpriced": 1}
    assert known.items() <= lines[-1].items()
    assert (None, None, None) == tuple(lines[-1][name] for name in ("rate", "seconds_left", "waiting"))


@pytest.mark.parametrize("options", [[], ["-v"]])
def test_events_and_a_drawing_do_not_share_a_terminal(monkeypatch, options):
    given = {}

    def begin(_stream, **words):
        given.update(words)
        raise SystemExit(0)

    monkeypatch.setattr(reporter, "new_progress", begin)
    monkeypatch.setattr(command_line, "show_events", lambda **_: None)

    CliRunner().invoke(command_line.cli, [*options, "submit", "orders.enrich", "a.csv"])

    assert bool(options) == given["shared"]


def test_line_of_a_stranger_moves_no_cursor():
    stream = StringIO()
    with new_progress(stream, shown="text") as progress:
        progress.start("t", ["a\x1b[2J\n.csv"])
        progress.note("b\rc")

    assert "t: reading a?[2J?.csv\nb?c\n" == stream.getvalue()


def test_memory_of_reasons_is_bounded():
    counts = Counts()
    for number in range(1000):
        counts.end("failed", reason=f"request {number}")

    assert (101, 900, 1000) == (
        len(counts.by_reason),
        counts.by_reason[OTHER_REASONS],
        counts.by_reason.total(),
    )


def test_unknown_money_is_counted_and_is_not_zero():
    counts = Counts()
    counts.pay(300)
    counts.pay(None, calls=2)
    counts.avoid(None)
    counts.avoid(70)

    assert (3, 300, 2) == (counts.calls, counts.cost_micro_usd, counts.unpriced)
    assert (70, 1) == (counts.avoided_micro_usd, counts.avoided_unknown)


@pytest.mark.parametrize(
    ("failed", "most", "told"),
    [
        (2, 2, ["row 0", "row 1"]),
        (3, 2, ["row 0", "row 1", "... and 1 more row failed: see out.errors.jsonl"]),
        (1002, 1, ["row 0", "... and 1,001 more rows failed: see out.errors.jsonl"]),
        (3, None, ["row 0", "row 1", "row 2"]),
    ],
)
def test_failed_rows_do_not_flood(failed, most, told):
    lines = []
    failures = FailureLines(lines.append, most)
    for number in range(failed):
        failures.add(f"row {number}")
    failures.finish("out.errors.jsonl")

    assert told == lines


@pytest.mark.parametrize(
    ("asked_again", "told"),
    [
        ([False], "1 row failed at an earlier start: see out.errors"),
        (
            [True, False, True],
            "3 rows failed at an earlier start: see out.errors; --retry-failed asks again for 2 of them",
        ),
    ],
)
def test_rows_that_failed_before_take_one_line_and_no_room(asked_again, told):
    lines = []
    failures = FailureLines(lines.append, 1)
    for each in asked_again:
        failures.add_before(is_asked_again=each)
    failures.add("row 4")
    failures.finish("out.errors")

    assert ["row 4", told] == lines


def test_name_that_the_locale_cannot_write_does_not_end_the_run(tmp_path):
    with (tmp_path / "err").open("wb") as raw, TextIOWrapper(raw, "ascii", errors="strict") as stream:
        with new_progress(stream, shown="text") as progress:
            progress.start("t", ["reunião.csv"])
            progress.finish(["1 row"])
        stream.flush()

    assert b"t: reading reuni?o.csv\n1 row\n" == (tmp_path / "err").read_bytes()
