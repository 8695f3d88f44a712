"""Follows the jobs of rows, and settles the report of each row when its job ends."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from threading import Event as Signal
from typing import TYPE_CHECKING, NamedTuple, Self

from askonce.errors import JobError, JobFailed, StoreUnavailable
from askonce.follow import Follower, timed_out
from producer.run.ask import REST
from producer.run.report import Report, settle, unavailable

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from askonce.answer import Result
    from askonce.handle import Handle
    from askonce.job import Fingerprint, Key
    from askonce.store import Store


class Asked(NamedTuple):
    """A row whose job is under way."""

    report: Report
    own_job: str
    began: float


class StoppedWhileAway(Exception):
    """The run is stopped while the store is away."""


@dataclass(slots=True, kw_only=True)
class Following:
    """The rows whose jobs are under way; a context manager."""

    store: Store
    #: Called with the report of each row that ends.
    on_end: Callable[[Report], object]
    #: Called while the store does not answer.
    on_trouble: Callable[[JobError], object]
    is_stopped: Callable[[], bool]
    #: Called when the store has answered.
    on_reached: Callable[[], object] = lambda: None
    #: Whether each row is waited for; otherwise jobs are only counted.
    waits: bool = True
    #: Seconds to wait for each row; None waits for as long as it takes.
    timeout: float | None = None
    #: Seconds for which a store that does not answer is waited for.
    patience: float = 0.0
    #: Jobs that failed since the run began.
    failed_jobs: set[str] = field(default_factory=set)
    clock: Callable[[], float] = time.monotonic
    _follower: Follower[Handle] = field(init=False)
    _asked: dict[Handle, Asked] = field(default_factory=dict, init=False)
    _down_since: float | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        """Follow nothing yet."""
        self._follower = Follower(self.store, self.clock)

    def __enter__(self) -> Self:
        """Begin."""
        self._follower.__enter__()
        return self

    def __exit__(self, *trouble: object) -> None:
        """Hear of no job any more."""
        self._follower.__exit__(*trouble)

    @property
    def handles(self) -> list[Handle]:
        """The jobs of the rows that are under way."""
        return list(self._asked)

    @property
    def rows(self) -> int:
        """How many rows are under way."""
        return len(self._asked)

    @property
    def jobs(self) -> int:
        """How many jobs are ahead of the workers, those of rows that nobody waits for included."""
        return len(self._follower)

    @property
    def has_looked(self) -> bool:
        """Whether every job was under way when its record was read last."""
        return self._follower.has_looked

    def content_of(self, key: Key) -> Fingerprint | None:
        """Return the fingerprint of the payload that a row has under way for *key*; None where none has."""
        followed = self._follower.of(key) if self.waits else None
        return followed.fingerprint if followed else None

    def has_any(self, handles: Iterable[Handle]) -> bool:
        """Return whether a row of *handles* is under way."""
        return any(handle in self._asked for handle in handles)

    def add(self, handle: Handle, asked: Asked) -> None:
        """Follow the job of *handle*."""
        if self.waits:
            self._asked[handle] = asked
        self._follower.add([handle])

    def take_ended(self, timeout: float) -> None:
        """End rows whose jobs ended; wait at most *timeout* seconds for one.

        Raises:
            StoreUnavailable: it has been away for too long.
            StoppedWhileAway: the rows that are under way stay open.
        """
        try:
            self._settle(self._follower.ended(timeout))
            self._time_out()
        except StoreUnavailable as trouble:
            self._wait_for_store(trouble, timeout)
        else:
            self._down_since = None
            self.on_reached()

    def give_up(self, trouble: JobError) -> None:
        """End every row, because a server does not answer."""
        for asked in self._asked.values():
            self.on_end(unavailable(asked.report, trouble))
        self._asked.clear()

    def _wait_for_store(self, trouble: StoreUnavailable, timeout: float) -> None:
        """Rest: admitted jobs go on, and their ends are taken when the store is back."""
        if not self.waits and timeout <= 0:
            # Only the bound is not known: rows may go out without the store.
            return
        self._down_since = self.clock() if self._down_since is None else self._down_since
        patience = self.patience or self.timeout or 0.0
        if self.is_stopped():
            # The rows that are under way stay open: the same command finds them.
            raise StoppedWhileAway
        if self.clock() - self._down_since >= patience:
            self.give_up(trouble)
            raise trouble
        self.on_trouble(trouble)
        Signal().wait(min(REST, patience))

    def _settle(self, ended: Iterable[tuple[Handle, Result | JobError]]) -> None:
        for handle, end in ended:
            asked = self._asked.pop(handle, None)
            if asked is None:
                continue
            if isinstance(end, JobFailed):
                self.failed_jobs.add(end.job)
            settle(asked.report, end, asked.own_job)
            asked.report.seconds = round(self.clock() - asked.began, 3)
            self.on_end(asked.report)

    def _time_out(self) -> None:
        """End rows that waited for too long; their jobs go on."""
        if self.timeout is None or not self._asked:
            return
        over = self.clock() - self.timeout
        late = [handle for handle, asked in self._asked.items() if asked.began <= over]
        records = self.store.read([handle.key for handle in late]) if late else []
        for handle, record in zip(late, records, strict=True):
            self._follower.drop(handle)
            error = timed_out(handle, record, self.clock() - self._asked[handle].began)
            self._settle([(handle, error)])
