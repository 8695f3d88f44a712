"""What a doctor finds of the work itself: workers, pauses, and providers that are away."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from askonce.checks import Finding
from askonce.errors import StoreUnavailable
from askonce.listening import check_pauses, check_workers
from askonce.pace.away import away

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from askonce.spec import JobSpec
    from askonce.store import Store


def examine_work(
    specs: Iterable[JobSpec],
    store: Store,
    queue_of: Callable[[str], str | None],
    cure_of: Callable[[str], str],
) -> list[Finding]:
    """Return which of *specs* have no worker, which pauses hold, which providers accept no call."""
    try:
        workers = check_workers(specs, queue_of, store.announcements.workers())
        return [*workers, *check_pauses(store), *_check_providers(store, cure_of)]
    except StoreUnavailable as error:
        text = f"are not known: the store did not list them ({error.reason})"
        cure = "see what the store needs"
        return [Finding(severity="warning", subject="workers", name="unknown", text=text, cure=cure)]


def _check_providers(store: Store, cure_of: Callable[[str], str]) -> list[Finding]:
    """Return which providers accept no call now, as workers found."""
    return [
        Finding(
            severity="error" if each.configuration else "warning",
            subject="model",
            name="away",
            text=f"{each.subject} accepts no call since {each.seconds:.0f} s: {each.reason}",
            cure=cure_of(each.reason),
        )
        for each in away(store.boards, time.time())
    ]
