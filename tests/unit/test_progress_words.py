from collections import Counter
from io import StringIO

import pytest

from producer.progress.amounts import amount, dollars, duration, pace
from producer.progress.counts import Counts
from producer.progress.drawing import draw, open_live
from producer.progress.lines import TextLines
from producer.progress.parts import first_line
from producer.progress.summary import summary
from producer.progress.terminal import Terminal
from producer.progress.view import Moment, Wait

COUNTS = Counts(
    rows=4_100,
    total=5_000,
    skipped=100,
    queued=1_000,
    ended=3_000,
    by_status=Counter(done=2_950, failed=38, invalid=12),
    by_source=Counter(call=980, cache=1_900, attached=40, stale=20, default=10),
    by_reason=Counter(rate_limited=30, timeout=8, invalid=12),
    calls=1_020,
    cost_micro_usd=1_240_000,
    unpriced=3,
    avoided_micro_usd=2_400_000,
)
MOMENT = Moment("orders.enrich", COUNTS, 72.9, 41.24, 46.0, Wait("openai gpt-6-luna: overloaded", 130.0))
AT_120 = """\
orders.enrich  -------------------------------                     62 %
3,100 of 5,000 rows  100 answered before  1,000 queued  41.2 rows/s  46 s left  1 min 12 s so far
1,020 calls: $1.24 and 3 calls of unknown price  1,940 calls avoided: $2.40
38 failed  12 invalid
30 rate_limited  8 timeout
waiting for openai gpt-6-luna: overloaded, for 2 min 10 s
"""
AT_80 = """\
orders.enrich  -------------------------------                     62 %
3,100 of 5,000 rows  100 answered before  1,000 queued  41.2 rows/s  46 s left
1 min 12 s so far
1,020 calls: $1.24 and 3 calls of unknown price  1,940 calls avoided: $2.40
38 failed  12 invalid
30 rate_limited  8 timeout
waiting for openai gpt-6-luna: overloaded, for 2 min 10 s
"""
AT_40 = """\
orders.enrich  -----------          62 %
3,100 of 5,000 rows  100 answered before
1,000 queued  41.2 rows/s  46 s left
1 min 12 s so far
1,020 calls: $1.24 and 3 calls of
unknown price
1,940 calls avoided: $2.40
38 failed  12 invalid
30 rate_limited  8 timeout
waiting for openai gpt-6-luna:
overloaded, for 2 min 10 s
"""


class Ascii(StringIO):
    encoding = "ascii"


@pytest.fixture
def drawn(monkeypatch):
    """Draw a moment at a width, in a terminal without colors that knows ASCII only."""
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm")

    def drawn(moment, width):
        monkeypatch.setenv("COLUMNS", str(width))
        console = open_live(Ascii(), is_stderr=False).console
        console.clear_live()
        with console.capture() as seen:
            console._render_hooks.clear()
            console.print(draw(moment, console))
        return "".join(f"{line.rstrip()}\n" for line in plain(seen.get()).splitlines())

    return drawn


def plain(text):
    from rich.text import Text

    return Text.from_ansi(text).plain


@pytest.mark.parametrize(("width", "expected"), [(120, AT_120), (80, AT_80), (40, AT_40)])
def test_run_is_drawn_within_the_width(drawn, width, expected):
    assert expected == drawn(MOMENT, width)


@pytest.mark.parametrize("width", [1, 7, 20, 33])
def test_terminal_of_any_width_shows_the_rows(drawn, width):
    shown = drawn(MOMENT, width)

    assert max(map(len, shown.splitlines())) <= width
    assert "3,100of5,000rows" in shown.replace("\n", "").replace(" ", "")


def test_terminal_too_narrow_for_a_bar_shows_percent(drawn):
    assert drawn(MOMENT, 24).startswith("orders.enrich  62 %\n")


def test_run_without_a_total_has_no_bar(drawn):
    assert "1 row  1 s so far\n" == drawn(Moment("t", Counts(ended=1), 1.0), 80)


def test_reasons_of_services_are_no_markup(drawn):
    counts = Counts(ended=1, by_status=Counter(failed=1), by_reason=Counter({"[red]x\x1b[2J[/x]": 1}))

    assert "1 [red]x?[2J[/x]\n" in drawn(Moment("t", counts, 1.0), 80)


def test_terminal_without_colors_has_none(drawn, monkeypatch):
    stream = StringIO()
    terminal = Terminal(stream)
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("NO_COLOR", "1")
    terminal.draw(MOMENT)
    terminal.finish(None, ["end"])

    assert "\x1b[31m" not in stream.getvalue()
    assert stream.getvalue().endswith("end\n")


def test_note_is_one_line_however_long(monkeypatch):
    monkeypatch.setenv("COLUMNS", "40")
    stream, line = StringIO(), f"orders.csv:7: {'word ' * 30}end"
    terminal = Terminal(stream)
    terminal.draw(MOMENT)
    terminal.note(line)
    terminal.finish(None, [])

    assert f"{line}\n" in stream.getvalue()


def test_text_says_all_in_one_line():
    stream = StringIO()
    TextLines(stream).draw(MOMENT)

    assert (
        "3,100 of 5,000 rows, 100 answered before, 1,000 queued, 41.2 rows/s, 46 s left, 1 min 12 s so far, "
        "1,020 calls: $1.24 and 3 calls of unknown price, 1,940 calls avoided: $2.40, "
        "38 failed, 12 invalid (30 rate_limited, 8 timeout), "
        "waiting for openai gpt-6-luna: overloaded, for 2 min 10 s\n"
    ) == stream.getvalue()


def test_summary_names_what_became_of_the_rows():
    assert [
        "4,100 of 5,000 rows: 2,950 done, 38 failed, 12 invalid, 100 answered before, 1,000 still queued",
        "done: 980 new, 1,900 from cache, 40 attached to a job under way, 20 stale, 10 fallback",
        "without an answer: 30 rate_limited, 8 timeout",
        "cost: $1.24 and 3 calls of unknown price for 1,020 paid calls",
        "cost avoided: $2.40",
        "time: 1 min 15 s, 40.0 rows/s",
    ] == summary(COUNTS, 75.0)


def test_summary_of_a_run_that_does_not_wait_names_no_cost():
    counts = Counts(rows=3, ended=3, by_status=Counter(admitted=2, hit=1))

    assert ["3 rows: 2 admitted, 1 hit", "time: 0.2 s"] == summary(counts, 0.2)


def test_summary_of_unknown_prices_has_no_sum():
    counts = Counts(rows=2, ended=2, by_status=Counter(done=2), by_source=Counter(call=1, cache=1))
    counts.pay(None)
    counts.avoid(None)

    assert ["cost: unknown price for 1 paid call", "cost avoided: unknown price"] == summary(counts, 1.0)[2:4]


@pytest.mark.parametrize(
    ("micro_usd", "shown"),
    [
        (0, "$0.00"),
        (213, "$0.000213"),
        (12_300, "$0.0123"),
        (1_234_567_890, "$1,234.57"),
    ],
)
def test_dollars_have_the_digits_that_count(micro_usd, shown):
    assert shown == dollars(micro_usd)


@pytest.mark.parametrize(
    ("seconds", "shown"),
    [
        (0.4, "0 s"),
        (59.9, "59 s"),
        (60, "1 min"),
        (130, "2 min 10 s"),
        (3_600, "1 h"),
        (11_000, "3 h 3 min"),
        (360_000, "4 d 4 h"),
    ],
)
def test_times_have_two_units(seconds, shown):
    assert shown == duration(seconds)


def test_numbers_are_grouped_and_counted_in_words():
    assert ("1 row", "2,000 rows") == (amount(1, "row"), amount(2000, "row"))
    assert ("0.0 rows/s", "6.0 rows/min", "41.2 rows/s", "1,234 rows/s") == tuple(
        map(pace, (0.0, 0.1, 41.24, 1234.5))
    )


def test_first_line_names_what_is_read():
    assert "t: reading stdin" == first_line("t", ["-"])
    assert "t: reading a.csv and 2 more" == first_line("t", ["a.csv", "b.csv", "-"])
    assert "t: reading" == first_line("t", [])
