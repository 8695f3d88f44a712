"""What stops a run from outside: a signal, a request, or the reader of stdout that has enough."""

from __future__ import annotations

import signal
from contextlib import contextmanager
from typing import TYPE_CHECKING

from producer.run.limits import INTERRUPTED, LIMIT_REACHED, STDOUT_CLOSED, Stop

if TYPE_CHECKING:
    from collections.abc import Iterator

    from producer.run.hold import Hold
    from producer.run.run import Run


def renew(hold: Hold, run: Run) -> None:
    """Keep the run, and stop it where somebody asks for that."""
    why = hold.renew()
    if why and run.stop is None:
        run.stop = Stop(f"by request: {why}", LIMIT_REACHED, cancels=True)


def end_unread(run: Run) -> None:
    """Stop *run*: nobody reads its rows any more."""
    if run.stop is None:
        run.stop = Stop("the program that reads stdout has closed it", STDOUT_CLOSED)


@contextmanager
def signals(run: Run) -> Iterator[None]:
    """Stop *run* at Ctrl-C or SIGTERM; a second one ends the process."""
    numbers = (signal.SIGINT, signal.SIGTERM)
    kept = {number: signal.getsignal(number) for number in numbers}

    def end(number: int, _frame: object) -> None:
        why = "interrupted" if run.stop is None else f"{run.stop.why}; then interrupted"
        run.stop = Stop(why, INTERRUPTED if number == signal.SIGINT else 128 + number)
        for each in numbers:
            signal.signal(each, kept[each])

    for number in numbers:
        signal.signal(number, end)
    try:
        yield
    finally:
        for number in numbers:
            signal.signal(number, kept[number])
