"""Ends jobs before they are paid for: those of a run, or some keys. A call under way is its job's last.

The records alone count: a job whose message was purged from the broker is cancelled like any other.
"""

from __future__ import annotations

from collections import Counter
from itertools import islice
from typing import TYPE_CHECKING

from askonce.record import BUCKETS
from askonce.store import Cancellation, Place

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from askonce.job import Key
    from askonce.store import Store

#: Buckets in one round trip, and keys: a server does one after another before it serves anyone else.
_BUCKETS_AT_ONCE, _KEYS_AT_ONCE = 4, 500


def cancel_run(store: Store, run: str) -> Counter[Cancellation]:
    """End each queued job of *run* that no other run shares; return how many of its jobs were in which state.

    A job that *run* enqueues meanwhile may be missed: ask its producer to stop first. A job that another run
    enqueued before *run* is that run's, and is not counted.

    Raises:
        ValueError: *run* is empty: every job without a run would be meant.
        StoreUnavailable: the store did not answer; what is cancelled stays cancelled, and the call may be
            repeated.
    """
    if not run:
        raise ValueError("a run has a name")
    counts: Counter[Cancellation] = Counter()
    for first in range(0, BUCKETS, _BUCKETS_AT_ONCE):
        places = [Place(bucket) for bucket in range(first, min(first + _BUCKETS_AT_ONCE, BUCKETS))]
        while places:
            steps = store.cancel_run(run, places)
            for step in steps:
                counts.update(step.counts)
            places = [step.next for step in steps if step.next is not None]
    return +counts


def cancel_keys(
    store: Store, keys: Iterable[Key], run: str | None = None
) -> Iterator[tuple[Key, Cancellation]]:
    """End the queued jobs of *keys*, in groups; with *run*, only those that no other run shares.

    Raises:
        StoreUnavailable: the store did not answer; the keys that were yielded are cancelled.
    """
    left = iter(keys)
    while some := list(islice(left, _KEYS_AT_ONCE)):
        yield from zip(some, store.cancel_many(some, run), strict=True)
