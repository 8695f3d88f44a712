"""How a start of a run ends: by itself, by a signal, by request, or because nothing can be written."""

from __future__ import annotations

import errno
import signal
from contextlib import contextmanager
from typing import TYPE_CHECKING

from producer.run.errors import OutputFailed
from producer.run.limits import INTERRUPTED, LIMIT_REACHED, Stop

if TYPE_CHECKING:
    from collections.abc import Iterator

    from producer.run.counted import Counted
    from producer.run.hold import Hold
    from producer.run.run import Run
    from producer.run.wanted import Wanted


def how_to_go_on(run: Run, counted: Counted, *, kept: bool) -> list[str]:
    """Return what a person does next; nothing where the run is complete."""
    lines = [] if run.stop is None else [f"stopped: {run.stop.why}"]
    if run.under_way:
        lines.append(
            f"{run.under_way:,} rows are with the workers; to end those that wait unpaid: cancel {run.name}"
        )
    if run.stop is not None or counted.open:
        again = "the same command goes on and asks again for nothing that is answered"
        if run.stop is not None and run.stop.exit_code == LIMIT_REACHED and not run.stop.cancels:
            again = (
                "raise the limit: the same command then goes on, and asks again for nothing that is answered"
            )
        lines.append(again if kept else "answers are kept in the store: the same command gets them")
    return lines


def renew(hold: Hold, run: Run) -> None:
    """Keep the run, and stop it where somebody asks for that."""
    why = hold.renew()
    if why and run.stop is None:
        run.stop = Stop(f"by request: {why}", LIMIT_REACHED, cancels=True)


@contextmanager
def signals(run: Run) -> Iterator[None]:
    """Stop *run* at Ctrl-C or SIGTERM; a second one ends the process."""
    numbers = (signal.SIGINT, signal.SIGTERM)
    kept = {number: signal.getsignal(number) for number in numbers}

    def end(number: int, _frame: object) -> None:
        run.stop = Stop("interrupted", INTERRUPTED if number == signal.SIGINT else 128 + number)
        for each in numbers:
            signal.signal(each, kept[each])

    for number in numbers:
        signal.signal(number, end)
    try:
        yield
    finally:
        for number in numbers:
            signal.signal(number, kept[number])


@contextmanager
def of_output(wanted: Wanted) -> Iterator[None]:
    """Raise OutputFailed where the output cannot be written: inputs and servers have errors of their own."""
    try:
        yield
    except OSError as exc:
        if exc.errno == errno.EPIPE:
            # Whoever reads stdout has enough.
            raise
        reason = exc.strerror or type(exc).__name__
        raise OutputFailed(file=str(wanted.file or "stdout"), reason=reason) from None
