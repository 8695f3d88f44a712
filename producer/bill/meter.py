"""Measures the rows of one task: what they will cost together, and what each of them can cost at most."""

from __future__ import annotations

from functools import cached_property
from types import MappingProxyType
from typing import TYPE_CHECKING

import orjson

from producer.bill.estimate import Sizes, estimate
from producer.bill.history import history_of
from producer.bill.worst import WorstCase
from tasks.catalog import MEETINGS_PART, calls_of, catalog
from tasks.prices import Prices

if TYPE_CHECKING:
    from collections.abc import Mapping

    from askonce.tally import Counter
    from producer.bill.estimate import Estimate
    from producer.bill.worst import Worst
    from settings.environment import Settings
    from tasks.calls import Calls


class Meter:
    """The meter of one run. A payload is a job's: the fields that the task uses, as a mapping or as JSON."""

    def __init__(
        self, task: str, settings: Settings, totals: Mapping[Counter, int] = MappingProxyType({})
    ) -> None:
        """Measure rows of *task*; *totals* are the counters of the store (``Tally.totals``), its history."""
        self._task, self._calls_of = task, calls_of(task, settings)
        self.model, self._most = catalog(settings)[task].model, settings.llm_max_output_tokens
        self._prices, self._sizes = Prices(settings), Sizes()
        own = history_of(totals, task, self.model)
        # Calls for long texts are counted under the task of their parts.
        self._history = own if own.calls or not self.model else history_of(totals, MEETINGS_PART, self.model)

    @cached_property
    def _worst(self) -> WorstCase:
        # Late: an estimate of a price that LLM_PRICES has loads no list.
        return WorstCase(self._prices if self.model else None, most=self._most)

    def add(self, payload: Mapping[str, object] | bytes) -> None:
        """Count a row that is to be called; in constant memory."""
        self._sizes.add(self._calls(payload))

    def estimate(self) -> Estimate:
        """Return what all rows that were added will use and cost."""
        return estimate(self._sizes, self._history, self._prices, model=self.model, most=self._most)

    def worst_case(self, payload: Mapping[str, object] | bytes) -> Worst:
        """Return the most that the job of *payload* can cost, and how many calls it can make."""
        return self._worst.of(self._calls(payload))

    def size(self, payload: Mapping[str, object] | bytes) -> int:
        """Return the bytes that a row sends: a pilot compares rows by them."""
        return sum(self._calls(payload).questions)

    def why_unbounded(self) -> str | None:
        """Return why no limit in dollars can be held, and the way out, in one line; None where one can."""
        if not self.model:
            return f"the price of a call of {self._task} is unknown: use --max-calls"
        if self._prices.most(1, 1) is None:
            return f"the price of {self.model} is unknown: set it in LLM_PRICES, or use --max-calls"
        if self._worst.output is None:
            return (
                f"no limit of the output tokens of {self.model} is known: "
                "set LLM_MAX_OUTPUT_TOKENS, also for the workers, or use --max-calls"
            )
        return None

    def _calls(self, payload: Mapping[str, object] | bytes) -> Calls:
        return self._calls_of(orjson.loads(payload) if isinstance(payload, bytes) else payload)
