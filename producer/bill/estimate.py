"""Estimates what the calls of many rows will use and cost: low, expected and high.

    bytes of instructions, schema and text ──> input tokens ─┐
    history of this task and model, or a guess ─> output ────┴──> price ──> cost

Input: a token for each four bytes, and between 5.5 and 2 bytes, which holds for the tokenizers and languages
in use. Output, with its reasoning: the average of the history, between 1/1.7 and 1.7 times that. So high is
less than three times low.

The history knows no sizes but its average input. So output is taken to grow with the cube root of the input.
Rows twice as long as the history's then stay within low and high, whether their answers are as long as before
or grow in proportion.
"""

from __future__ import annotations

from dataclasses import dataclass
from math import ceil
from typing import TYPE_CHECKING, Final, NamedTuple

from producer.bill.history import ENOUGH, History

if TYPE_CHECKING:
    from tasks.calls import Calls
    from tasks.prices import Prices


class Range(NamedTuple):
    """A number that is not known yet."""

    low: float
    expected: float
    high: float


#: Bytes of one input token: from many, where the bill is low, to few.
_BYTES: Final = Range(low=5.5, expected=4.0, high=2.0)
#: Bytes of the summary of one part: six sentences at most.
_SUMMARY: Final = 800
#: Output tokens of one call without a history: a short answer, a report, a model that reasons at length.
_GUESS: Final = Range(low=100.0, expected=1000.0, high=8000.0)
#: How far the average of a run is from the history's at most, from ENOUGH calls on; and after one call only.
_SPREAD, _SPREAD_OF_ONE = 1.7, 6.0
#: The input of a run may be so many times as long as the history's, or as short, before that counts no more.
_MOST_LONGER: Final = 8.0
#: Calls that are made again after a failure, beside those of the history.
_MORE: Final = 1.1
#: What the history paid, as a share of the list price of its tokens: more is another price list.
_LEAST_SHARE, _MOST_SHARE = 0.05, 4.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Estimate:
    """What the calls of many rows will use and cost. None is unknown, never 0."""

    #: Rows that are to be called, and their calls.
    rows: int
    calls: Range
    input_tokens: Range | None
    #: Reasoning included.
    output_tokens: Range | None
    cost_usd: Range | None
    #: Where the output comes from, in words.
    basis: str


class Sizes:
    """Adds up the questions of many rows, in constant memory."""

    def __init__(self) -> None:
        self.rows = self.questions = self.bytes = self.elsewhere = 0

    def add(self, calls: Calls) -> None:
        """Add one row that is to be called."""
        count = len(calls.questions)
        self.rows += 1
        self.questions += count
        self.bytes += sum(calls.questions)
        self.elsewhere += 0 if calls.own else count
        if calls.joining and count > 1:
            # Usually one question joins all answers.
            self.questions += 1
            self.bytes += calls.joining + _SUMMARY * count


def estimate(sizes: Sizes, history: History, prices: Prices, *, model: str, most: int | None) -> Estimate:
    """Return the estimate for rows of these *sizes*; no answer has more than *most* output tokens."""
    asked = sizes.questions * history.calls_per_job
    if not model:
        # The calls may be shared with other rows, or be there already.
        low = sizes.questions - sizes.elsewhere
        return Estimate(
            rows=sizes.rows,
            calls=Range(low, sizes.questions, ceil(asked * _MORE)),
            input_tokens=None,
            output_tokens=None,
            cost_usd=None,
            basis="its calls have no tokens and no known price",
        )
    read = Range(*(sizes.bytes * history.calls_per_job / each for each in _BYTES))
    written = Range(
        *(asked * min(each, most or each) for each in _output_of_one(read.expected, asked, history))
    )
    return Estimate(
        rows=sizes.rows,
        calls=Range(sizes.questions, round(asked), ceil(asked * _MORE)),
        input_tokens=Range(*map(round, read)),
        output_tokens=Range(*map(round, written)),
        cost_usd=_cost(read, written, asked, _share_paid(history, prices, model), prices, model),
        basis=_basis(history),
    )


def _output_of_one(read: float, asked: float, history: History) -> Range:
    """Return the output tokens of one call on average, where *asked* questions have *read* tokens."""
    if not history.calls or not history.output_tokens or not asked:
        return _GUESS
    growth = 1.0
    if history.input_tokens:
        longer = (read / asked) / (history.input_tokens / history.calls)
        growth = min(max(longer, 1 / _MOST_LONGER), _MOST_LONGER) ** (1 / 3)
    average = history.output_tokens / history.calls * growth
    known = min(history.calls / ENOUGH, 1.0)
    spread = _SPREAD_OF_ONE + (_SPREAD - _SPREAD_OF_ONE) * known
    return Range(average / spread, average, average * spread)


def _share_paid(history: History, prices: Prices, model: str) -> float:
    """Return what the history paid as a share of the plain price: a cache or a tier makes the difference."""
    if history.calls < ENOUGH or history.unpriced or not history.micro_usd:
        return 1.0
    one = _price_of_one(history.input_tokens, history.output_tokens, history.calls, prices, model)
    if not one:
        return 1.0
    return min(max(history.micro_usd / 1_000_000 / (one * history.calls), _LEAST_SHARE), _MOST_SHARE)


def _cost(
    read: Range, written: Range, asked: float, share: float, prices: Prices, model: str
) -> Range | None:
    if not asked:
        return Range(0.0, 0.0, 0.0)
    ones = [_price_of_one(*tokens, asked, prices, model) for tokens in zip(read, written, strict=True)]
    costs = [one * asked * share for one in ones if one is not None]
    return Range(*costs) if len(costs) == len(ones) else None


def _price_of_one(read: float, written: float, calls: float, prices: Prices, model: str) -> float | None:
    usage = {"input_tokens": max(1, round(read / calls)), "output_tokens": round(written / calls)}
    return prices.of(usage, model=model, tier=None)


def _basis(history: History) -> str:
    if not history.calls or not history.output_tokens:
        return (
            f"a guess: {_GUESS.low:.0f} to {_GUESS.high:,.0f} output tokens a call, "
            "because this task and model have no calls yet"
        )
    return f"from {history.calls:,} calls of this task and model"
