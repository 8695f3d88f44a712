"""What one process works with when it answers cached functions; never crosses a fork."""

from __future__ import annotations

import os
import socket
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import cached_property
from threading import Lock
from typing import TYPE_CHECKING

from askonce.execute import Executor
from askonce.functions.answering import Answering
from askonce.functions.flight import Flights
from askonce.functions.hearing import Hearing, RecentHits
from askonce.functions.loops import Loops
from askonce.functions.patience import Patience
from askonce.functions.threads import Threads
from askonce.lease import LeaseRenewer
from askonce.store_down.calls import LocalCalls
from askonce.store_down.hits import LocalHits
from askonce.store_down.spill import Spill
from askonce.waiting import waiting_on

if TYPE_CHECKING:
    from askonce.answer import Codec
    from askonce.events import Listener
    from askonce.store import Store
    from askonce.store_down.cache import LocalCache

#: Threads that do round trips for loops: a crowd of processes must not open a crowd of connections each.
_VERBS = 8
#: Threads that refresh stale answers.
_REFRESHES = 4


class Process:
    """The store, and what this process keeps beside it."""

    def __init__(
        self, store: Store, cache: LocalCache, codec: Codec, listen: Listener, patience: float
    ) -> None:
        """Answer from *store*, and from *cache* where that is allowed, or after seconds of *patience*."""
        self.store, self.cache, self.codec, self.listen = store, cache, codec, listen
        self.patience = Patience(patience)
        store.report_to(listen)
        self.spill, self.waiting = Spill(listen=listen), waiting_on(store)
        holder = f"{socket.gethostname()}:{os.getpid()}"
        self.executor = Executor(
            store=store,
            leases=LeaseRenewer(store, listen=listen),
            codec=codec,
            spill=self.spill,
            listen=listen,
            holder=holder,
        )
        self.recent_hits = RecentHits(LocalHits(store, self.spill, holder))
        self.answering = Answering(
            executor=self.executor,
            local=LocalCalls(store, cache, self.spill, codec=codec, listen=listen, holder=holder),
            cache=cache,
            waiting=self.waiting,
            flights=Flights(),
            patience=self.patience,
            listen=listen,
        )
        #: What values did, by namespace and word. Here: a child of a fork begins anew, and so does the lock.
        self.counted, self.counting = Counter[tuple[str, str]](), Lock()
        self.hearing = Hearing(store, cache, self.recent_hits, listen)
        self.threads = Threads(lambda: self._refreshes)
        self.loops = Loops(lambda: self._verbs, listen)

    def close(self, timeout: float) -> None:
        """Stop listening, and wait at most *timeout* seconds until the store has what is to be kept."""
        self.hearing.stop()
        # At the end of the interpreter no thread can be started: then the hits of the last second are lost.
        with suppress(RuntimeError):
            self.recent_hits.flush()
        self.spill.drain(timeout)

    @cached_property
    def _refreshes(self) -> ThreadPoolExecutor:
        return ThreadPoolExecutor(_REFRESHES, "askonce-refresh")

    @cached_property
    def _verbs(self) -> ThreadPoolExecutor:
        return ThreadPoolExecutor(_VERBS, "askonce-functions")
