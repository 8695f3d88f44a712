"""Counters of jobs, calls and money: exact over all processes, because the store's own scripts count.

A counter is named by task, tenant, model and what is counted, in whole numbers. What is counted:

- how each call of ``enqueue`` ended: admitted, attached, hit, negative, backoff, conflict, resend, cancelled;
- ``calls``, and what they cost: ``micro_usd``, or ``unpriced`` where the price is unknown;
- ``tokens:<name>``, as the provider counted them;
- ``in_doubt``: runs whose worker was lost, so whether their calls were paid is unknown;
- ``avoided_micro_usd``: what a hit would have cost, ``avoided_unknown`` where that is unknown.

A hit is counted again where its reply was lost and the verb repeated. Money is not: it is counted once for
each run.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping

    from askonce.job import Job
    from askonce.spend import Spend

#: Days for which the counters of one day are kept.
DAYS_KEPT = 400
_MOST = 2**53


class Counter(NamedTuple):
    """The name of one counter."""

    task: str
    tenant: str
    model: str
    what: str


class Book(NamedTuple):
    """What one run paid."""

    task: str
    tenant: str
    model: str
    amounts: tuple[tuple[str, int], ...]

    @property
    def entry(self) -> str:
        """The form that the scripts read."""
        counted = " ".join(f"{name} {amount}" for name, amount in self.amounts)
        return f"{self.task}\n{self.tenant}\n{self.model}\n{counted}"


class Tally(Protocol):
    """The counters of one store."""

    def totals(self) -> Mapping[Counter, int]:
        """Return every counter since the store began."""

    def of_day(self, day: int) -> Mapping[Counter, int]:
        """Return the counters of one day, counted from 1970 in UTC."""

    def fold(self) -> int:
        """Add the counters of past days together; return how many buckets had any. May be repeated."""


def book_of_failure(job: Job, spend: Spend) -> Book | None:
    """Return what a failed run of *job* paid; None for a call that was refused, which is in no counter."""
    return book_of(job, spend) if spend.known else None


def book_of(job: Job, spend: Spend) -> Book:
    """Return what the calls of one run of *job* paid together."""
    amounts: list[tuple[str, int]] = []
    if spend.maybe_billed and spend.micro_usd is None and not spend.usage:
        amounts.append(("in_doubt", 1))
    elif spend.calls:
        amounts.append(("calls", spend.calls))
        if spend.micro_usd is None:
            amounts.append(("unpriced", spend.calls))
    if spend.micro_usd:
        amounts.append(("micro_usd", spend.micro_usd))
    amounts += [
        (f"tokens:{re.sub(r'[^A-Za-z0-9_.-]', '_', name)[:40]}", count)
        for name, count in spend.usage.items()
        if type(count) is int and 0 < count < _MOST
    ]
    return Book(job.task, job.tenant, job.model, tuple(amounts))
