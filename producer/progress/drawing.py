"""Draws one moment of a run with rich, in as many lines as the terminal's width needs."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from rich.console import Console, Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from producer.progress.parts import how_far, not_fine, paid, printable, reasons, waiting, writable

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from typing import TextIO

    from producer.progress.view import Moment

#: Columns: a shorter bar says nothing, a longer one says no more.
_SHORTEST_BAR: Final = 8
_LONGEST_BAR: Final = 50
_BETWEEN: Final = "  "


def open_live(stream: TextIO, *, is_stderr: bool) -> Live:
    """Return a display that draws on *stream*; what others write to stderr appears above it."""
    console = Console(file=stream, force_terminal=True, highlight=False)
    live = Live(
        console=console, auto_refresh=False, transient=True, redirect_stdout=False, redirect_stderr=is_stderr
    )
    live.start()
    # rich hides it: after a SIGKILL the shell would have none.
    console.show_cursor(show=True)
    return live


def print_above(live: Live, line: str) -> None:
    """Write *line* above the drawing, as it is: it can be copied from any width."""
    live.console.print(Text(writable(line, live.console.encoding)), soft_wrap=True)


def draw(moment: Moment, console: Console) -> Group:
    """Return the bar, then rows and times, money, rows without an answer, and why all of them wait."""
    counts, width = moment.counts, console.width
    lines = [
        *_flow(how_far(moment), width, ""),
        *_flow(paid(counts), width, "green"),
        *_flow(not_fine(counts), width, "red"),
        *_flow(reasons(counts), width, "red"),
        *_flow([waiting(moment.wait)] if moment.wait is not None else [], width, "yellow"),
    ]
    # A part that is longer than a line goes on in the next one.
    return Group(
        *_bar(moment, console), *(Text(writable(line, console.encoding), style) for line, style in lines)
    )


def _bar(moment: Moment, console: Console) -> Iterator[Table | Text]:
    counts, task = moment.counts, writable(printable(moment.task), console.encoding)
    if not counts.total:
        return
    percent = f"{100 * counts.finished // counts.total} %"
    room = console.width - len(task) - len(percent) - 2 * len(_BETWEEN)
    if room < _SHORTEST_BAR:
        yield Text(f"{task}{_BETWEEN}{percent}", "bold", no_wrap=True, overflow="crop")
        return
    line = Table.grid(padding=(0, len(_BETWEEN), 0, 0))
    bar = ProgressBar(total=counts.total, completed=counts.finished, width=min(room, _LONGEST_BAR))
    line.add_row(Text(task, "bold"), bar, percent)
    yield line


def _flow(parts: Sequence[str], width: int, style: str) -> Iterator[tuple[str, str]]:
    """Yield lines of *parts*, as many in each as fit into *width*."""
    line = ""
    for part in parts:
        longer = f"{line}{_BETWEEN}{part}" if line else part
        if line and len(longer) > width:
            yield line, style
            line = part
        else:
            line = longer
    if line:
        yield line, style
