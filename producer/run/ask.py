"""Enqueues the rows of a run, a group at a time; asked again, a row is the same job."""

from __future__ import annotations

import time
from contextlib import suppress
from dataclasses import dataclass, field
from hashlib import sha256
from threading import Event as Signal
from typing import TYPE_CHECKING, Final

from askonce.errors import JobError, SendFailed, StoreUnavailable
from askonce.outcomes import Negative
from producer.run.again import Again

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping, Sequence

    from askonce.job import Fingerprint, Key
    from askonce.outcomes import Outcome
    from askonce.rows import Row
    from producer.client import Client

#: Seconds between two attempts to reach a store that does not answer.
REST: Final = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Asker:
    """Asks for the rows of one run."""

    client: Client
    task: str
    #: Names this run's jobs.
    uid: str
    #: Names those of rows that an earlier round left under way.
    uids: Mapping[int, str] = field(default_factory=dict)
    #: Options of ``enqueue`` for every row.
    options: Mapping[str, object] = field(default_factory=dict)
    #: Which rows are asked for again; those of one call alike.
    again: Again = field(default_factory=Again)
    #: Whether the run's name is only for those who watch: its caller chose none.
    may_leave_run: bool = False
    #: Seconds for which a server that does not answer is tried again.
    patience: float = 0.0
    #: Whether somebody ends the run meanwhile.
    is_stopped: Callable[[], bool] = lambda: False
    #: Called before each of these attempts.
    on_trouble: Callable[[JobError], object] = lambda _error: None
    #: Set when the broker has taken messages: one that is away at the start may have a wrong address.
    has_sent: Signal = field(default_factory=Signal)
    #: The content that a row of the run has under way for a key: a row with another one is a Conflict.
    under_way: Callable[[Key], Fingerprint | None] | None = None
    clock: Callable[[], float] = time.monotonic
    now: Callable[[], float] = time.time

    def job_of(self, row: Row) -> str:
        """Return the id under which *row* asks: the same one each time, so that nothing is paid twice."""
        uid = self.uids.get(row.number, self.uid)
        return sha256(f"{uid}:{row.number}".encode()).hexdigest()[:32]

    def ask(self, rows: Sequence[Row], failed_jobs: Collection[str] = ()) -> list[Outcome | JobError]:
        """Return what became of each row; *failed_jobs* failed just now, and are not asked for again.

        Raises:
            StoreUnavailable, SendFailed: to ask for all of them again under the same run is safe.
        """
        outcomes = self._ask_patiently(rows, failed_jobs)
        return self._send_again(rows, outcomes) if self.patience else outcomes

    def _ask_patiently(self, rows: Sequence[Row], failed_jobs: Collection[str]) -> list[Outcome | JobError]:
        until = self.clock() + self.patience
        while rows:
            try:
                return self._ask(rows, failed_jobs)
            except StoreUnavailable as error:
                trouble = error
            if self.clock() >= until or self.is_stopped():
                return self._ask_without_run(rows, trouble)
            self.on_trouble(trouble)
            Signal().wait(REST)
        return []

    def _send_again(
        self, rows: Sequence[Row], outcomes: list[Outcome | JobError]
    ) -> list[Outcome | JobError]:
        """Ask again for rows whose messages the broker did not take, until it takes all of them."""
        until = self.clock() + (self.patience if self.has_sent.is_set() else 0.0)
        while refused := [n for n, outcome in enumerate(outcomes) if isinstance(outcome, SendFailed)]:
            trouble = outcomes[refused[0]]
            assert isinstance(trouble, SendFailed)
            if self.clock() >= until or self.is_stopped():
                raise trouble
            self.on_trouble(trouble)
            Signal().wait(REST)
            again = self._ask_patiently([rows[n] for n in refused], ())
            for n, outcome in zip(refused, again, strict=True):
                outcomes[n] = outcome
        self.has_sent.set()
        return outcomes

    def _ask(self, rows: Sequence[Row], failed_jobs: Collection[str]) -> list[Outcome | JobError]:
        outcomes = self._enqueue(rows)
        if not self.again.of(rows[0].number).retries_failure:
            return outcomes
        # A start that was killed may have asked for a row again already: that is news to its equals too.
        found = zip(rows, outcomes, strict=True)
        own = {self.job_of(row) for row, outcome in found if self.is_own_failure(row, outcome)}
        failed = {n: each.job for n, each in enumerate(outcomes) if isinstance(each, Negative)}
        again = [n for n, job in failed.items() if job not in own and job not in failed_jobs]
        if again:
            for n, outcome in zip(again, self._enqueue([rows[n] for n in again], force=True), strict=True):
                outcomes[n] = outcome
        return outcomes

    def _ask_without_run(self, rows: Sequence[Row], trouble: StoreUnavailable) -> list[Outcome | JobError]:
        """Ask for rows that a task lets out while the store is down; no such message can name its run.

        Raises:
            StoreUnavailable: the task does not, or the caller chose the run.
        """
        if not self.may_leave_run:
            raise trouble
        without = {name: value for name, value in self.options.items() if name != "run"}
        with suppress(StoreUnavailable):
            return self._enqueue(rows, options=without)
        # The first one says why.
        raise trouble

    def is_own_failure(self, row: Row, outcome: Outcome | JobError) -> bool:
        """Return whether *outcome* is a failure of the job that *row* itself asked for."""
        return isinstance(outcome, Negative) and outcome.job == self.job_of(row)

    def _enqueue(
        self, rows: Sequence[Row], *, force: bool = False, options: Mapping[str, object] | None = None
    ) -> list[Outcome | JobError]:
        options = dict(self.options if options is None else options)
        # A run waits for the jobs that it makes, and its bill has them.
        options.setdefault("stale_while_revalidate", 0.0)
        not_before = self.again.of(rows[0].number).not_before
        if force:
            options["force"] = True
        elif not_before is not None:
            options["max_age"] = max(0.0, self.now() - not_before)
        payloads, jobs = [row.payload for row in rows], [self.job_of(row) for row in rows]
        return self.client.enqueue_many(self.task, payloads, jobs=jobs, under_way=self.under_way, **options)
