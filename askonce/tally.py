"""Counters of jobs, calls and money: exact over all processes, because the store's own scripts count.

A counter is named by task, tenant, model and what is counted, in whole numbers. What is counted:

- how each call of ``enqueue`` ended: admitted, attached, hit, stale, negative, backoff, conflict, resend,
  cancelled;
- ``calls`` that a provider replied to, and what they cost: ``micro_usd``, or ``unpriced`` where the price is
  unknown;
- ``tokens:<name>``, as the provider counted them; some are parts of others, so they are never added up;
- ``in_doubt``: runs whose worker was lost, and calls without a reply: whether they were paid is unknown;
- ``wait:<milliseconds>`` and ``run:<milliseconds>``: first starts, and ends of runs, by the first bound of
  ``record.BOUNDS`` that their time did not exceed; ``wait_ms`` and ``run_ms`` are the sums;
- ``restarted``, ``lost``, ``parked``, ``fenced``, ``resent``, ``copy``: what became of leases and messages;
- ``hit_in_memory`` and ``call_without_store``: hits and calls while the store was down, among those above;
- ``avoided_micro_usd``: what a hit, or a stale answer that was served, would have cost;
  ``avoided_unknown`` where that is unknown.

Beside them stands when an entry of the schedule succeeded last: a time, by the store's clock.

A hit is counted again where its reply was lost and the verb repeated. Money is not: it is counted once for
each run. `docs/counters.md` says when.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping

    from askonce.job import Job, Key, Owner
    from askonce.spend import Spend

#: Days for which the counters of one day are kept.
DAYS_KEPT = 400
#: Entries of the schedule whose last success is kept; the one that is the longest ago makes room.
ENTRIES_KEPT = 100
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

    def of_days(self, days: range) -> Mapping[int, Mapping[Counter, int]]:
        """Return the counters of each of *days* that has any: whole days in UTC, counted from 1970."""

    def book_late(self, key: Key, owner: Owner, book: Book) -> None:
        """Count, once for each owner, what a run paid that has no place in the record of *key*.

        Raises:
            StoreUnavailable: the store did not answer. May be repeated.
        """

    def fold(self) -> int:
        """Add the counters of past days together; return how many buckets had any. May be repeated."""

    def succeeded(self, entry: str) -> None:
        """Note that a job of this *entry* of the schedule succeeded now; one round trip."""

    def successes(self) -> Mapping[str, float]:
        """Return when each entry succeeded last, in seconds since 1970; one round trip."""


def book_of(job: Job, spend: Spend) -> Book:
    """Return what one run of *job* paid. It is empty for a call that was refused, which is in no counter."""
    amounts = [("calls", spend.calls)]
    if spend.micro_usd is None:
        amounts.append(("unpriced", spend.calls))
    amounts += [("micro_usd", spend.micro_usd or 0), ("in_doubt", spend.in_doubt)]
    amounts += [
        (f"tokens:{re.sub(r'[^A-Za-z0-9_.-]', '_', name)[:40]}", count) for name, count in spend.usage.items()
    ]
    kept = tuple((what, amount) for what, amount in amounts if type(amount) is int and 0 < amount < _MOST)
    return Book(job.task, job.tenant, job.model, kept)
