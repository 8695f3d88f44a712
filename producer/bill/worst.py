"""The most that one job can cost, and the calls that it can make: what a budget reserves for it.

All attempts count, each with an answer that cannot be used and the second one in its place. So do the parts
of a long text, and the questions that join them. Input is a token for each UTF-8 byte of what is sent; output
is the operator's limit of tokens, or else the model's whole context.

Not bounded: a job that a person replays, a provider that exceeds the limit it was given, and parts that are
read anew because their meeting waited for longer than CACHE_TTL_HOURS.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

if TYPE_CHECKING:
    from tasks.calls import Calls
    from tasks.prices import Prices

#: Input tokens of a call beside its bytes: marks of roles, the name of the schema, a server's own frame.
_FRAME: Final = 512
#: A text that a model wrote has at most so many times the tokens that it was written with when it is read.
_READ_AGAIN: Final = 2


class Worst(NamedTuple):
    """The most of one job; ``micro_usd`` is None where that is unknown, never 0."""

    calls: int
    micro_usd: int | None
    #: Whether the job makes these calls itself; others may go on after its end.
    own: bool = True


class WorstCase:
    """Bounds the jobs of one service."""

    def __init__(self, prices: Prices | None, *, most: int | None) -> None:
        """Bound them by *prices*, without which no cost is known. No answer has more than *most* tokens."""
        self._prices = prices
        self._window = prices.context_window if prices else None
        known = [each for each in (most, self._window) if each is not None]
        self.output = min(known, default=None)

    def of(self, calls: Calls) -> Worst:
        """Return the bound of one job."""
        made = (len(calls.questions) + calls.joins) * calls.paid
        return Worst(made, self._cost(calls), calls.own)

    def _cost(self, calls: Calls) -> int | None:
        costs = [self._of_one(each) for each in calls.questions]
        if calls.joins:
            joined = self._of_one(len(calls.questions) * (self.output or 0) * _READ_AGAIN + calls.joining)
            costs.append(None if joined is None else calls.joins * joined)
        known = [cost for cost in costs if cost is not None]
        return calls.paid * sum(known) if len(known) == len(costs) else None

    def _of_one(self, sent: int) -> int | None:
        if self._prices is None or self.output is None:
            return None
        read = sent + _FRAME
        return self._prices.most(read if self._window is None else min(read, self._window), self.output)
