"""What stops a run from outside: a signal, a request, or the reader of stdout that has enough."""

from __future__ import annotations

import signal
from contextlib import contextmanager
from typing import TYPE_CHECKING

from askonce.cancel import cancel_run
from producer.run.limits import INTERRUPTED, STDOUT_CLOSED, Stop

if TYPE_CHECKING:
    from collections.abc import Iterator

    from producer.run.hold import Hold
    from producer.run.run import Run


def renew(hold: Hold, run: Run) -> None:
    """Keep the run, and stop it where somebody asks for that, or has it now."""
    stop = hold.renew()
    if stop is not None and run.stop is None:
        run.stop = stop


def hear_last(hold: Hold, run: Run) -> None:
    """Stop *run*, which enqueues nothing more, where somebody asked for that.

    Who cancels a run ends what is queued then. What a run that waits for no answer enqueued later, before it
    heard of that, ends here.

    Raises:
        StoreUnavailable: the store did not answer.
    """
    stop = hold.renew()
    if stop is None or not stop.cancels:
        return
    run.stop = run.stop or stop
    if not run.waits:
        cancel_run(run.store, run.name)


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
