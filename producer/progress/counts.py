"""Counts what a run has done so far; the display and the summary are views of it."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field, replace
from typing import Final

#: Reasons that are counted each by itself. A service may put an id into each of them: memory stays flat.
_REASONS: Final = 100
OTHER_REASONS: Final = "other reasons"


@dataclass(slots=True, kw_only=True)
class Counts:
    """What one start of a run has done so far. The run writes it; others only read it, also while it grows.

    Money is in millionths of a US dollar, and unknown money is counted beside it, never as 0.
    """

    #: Rows read from the inputs.
    rows: int = 0
    #: Rows of all inputs, where that is known.
    total: int | None = None
    #: Rows that an earlier start of the run has answered.
    skipped: int = 0
    #: Rows that an earlier start has brought to an end without an answer.
    failed_before: int = 0
    #: Rows that are enqueued and have not ended.
    queued: int = 0
    #: Rows that this start has brought to an end; it holds none of those before.
    ended: int = 0
    #: The ended rows by how they ended: done, failed, invalid, timeout, ... Rows that failed before count.
    by_status: Counter[str] = field(default_factory=Counter)
    #: The done rows by where the answer is from: call, cache, attached, stale, default (a fallback).
    by_source: Counter[str] = field(default_factory=Counter)
    #: The rows without an answer by their reason.
    by_reason: Counter[str] = field(default_factory=Counter)
    calls: int = 0
    cost_micro_usd: int = 0
    #: Calls of unknown price.
    unpriced: int = 0
    avoided_micro_usd: int = 0
    #: Avoided calls whose cost is unknown.
    avoided_unknown: int = 0

    @property
    def finished(self) -> int:
        """The rows that need nothing more, from this start and from earlier ones."""
        return self.skipped + self.failed_before + self.ended

    def end(self, status: str, *, source: str = "", reason: str = "") -> None:
        """Count a row that ended with *status*: a done one with its *source*, another with its *reason*."""
        self.ended += 1
        if source:
            self.by_source[source] += 1
        self._name(status, reason)

    def fail_before(self, status: str, reason: str) -> None:
        """Count a row that an earlier start ended with *status* and no answer, for this *reason*."""
        self.failed_before += 1
        self._name(status, reason)

    def _name(self, status: str, reason: str) -> None:
        self.by_status[status] += 1
        if reason:
            known = reason in self.by_reason or len(self.by_reason) < _REASONS
            self.by_reason[reason if known else OTHER_REASONS] += 1

    def end_reading(self, *, queued: int) -> None:
        """Count the rows that are still *queued*, but none that was read and not sent for want of room."""
        self.queued = queued
        self.rows = self.finished + queued

    def pay(self, micro_usd: int | None, calls: int = 1) -> None:
        """Count *calls* that cost *micro_usd* together; None is unknown."""
        self.calls += calls
        self.cost_micro_usd += micro_usd or 0
        self.unpriced += calls if micro_usd is None else 0

    def avoid(self, micro_usd: int | None) -> None:
        """Count a call that was not made, and what it would have cost; None is unknown."""
        self.avoided_micro_usd += micro_usd or 0
        self.avoided_unknown += micro_usd is None

    def copy(self) -> Counts:
        """Return the counts as they are now, also while another thread counts on."""
        return replace(
            self,
            by_status=Counter(self.by_status),
            by_source=Counter(self.by_source),
            by_reason=Counter(self.by_reason),
        )
