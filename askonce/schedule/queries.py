"""Decides what an entry asks for: its query, as payloads in an order that a later step can go on with."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple, assert_never, cast

import orjson

from askonce.record import BUCKETS
from askonce.replay import as_first
from askonce.schedule.entry import DeadLetters, GoingStale, StoredFile, StoredRun
from askonce.schedule.item import Found, Item, Refused, Unusable
from askonce.schedule.site import InputsUnusable
from askonce.schedule.stored_rows import StoredRows

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from askonce.due import GoingStale as GoingStaleAnswer
    from askonce.job import Key
    from askonce.letters import DeadJob
    from askonce.schedule.entry import Query
    from askonce.schedule.site import RunInputs, Site

#: Dead letters of one round trip, without their payloads.
_LETTERS: Final = 100
#: Buckets of one round trip.
_BUCKETS: Final = 32
#: Seconds: the answer that goes stale is older than this when its refresh looks at it, and no other one is.
_INSTANT: Final = 0.001


class Times(NamedTuple):
    """The times of one slot: seconds since 1970 by the store's clock."""

    slot: float
    #: When its first step began.
    began: float
    #: Seconds to the next slot.
    period: float
    now: Callable[[], float]

    def of_rows(
        self, max_age: float | None, options: Mapping[str, object]
    ) -> Callable[[], dict[str, object]]:
        """Return a function that returns *options* for now.

        What was answered since the slot is young enough, however late a row is asked for, or asked again.
        """
        if max_age is None:
            return lambda: {**options}
        return lambda: {**options, "max_age": max_age + max(0.0, self.now() - self.slot)}


def found_by(query: Query, site: Site, times: Times, run: str) -> Found:
    """Return what *query* finds on *site* in the slot of these *times*. New jobs belong to *run*.

    Raises:
        Refused: the query cannot be asked.
    """
    if query.task not in site.specs:
        raise Refused("unknown_task", f"no task is called {query.task}")
    match query:
        case StoredFile(path=None):
            raise Refused("path_not_set", "the path of its StoredFile is not set")
        case StoredFile(path=path, max_age=max_age):
            return StoredRows([Path(cast("Path | str", path))], times.of_rows(max_age, {"run": run}))
        case StoredRun(journal=journal, max_age=max_age):
            inputs = _inputs_of(site, Path(journal), query.task)
            own = {"run": run, "tenant": inputs.tenant}
            return StoredRows(inputs.paths, times.of_rows(max_age, own))
        case DeadLetters():
            return _Dead(site, query, times)
        case GoingStale(task=task, within=within):
            if not site.specs[task].keep_payload:
                raise Refused(
                    "payloads_not_kept", f"{task} keeps no payloads: set keep_payload in its JobSpec"
                )
            return _Stale(site, task, times.period if within is None else within, run)
    assert_never(query)


def _inputs_of(site: Site, journal: Path, task: str) -> RunInputs:
    if site.inputs_of_run is None:
        raise Refused("runs_unknown", "StoredRun: this app reads no journals of runs")
    try:
        inputs = site.inputs_of_run(journal)
    except InputsUnusable as unusable:
        raise Refused("run_unusable", f"{journal}: {unusable}") from None
    if inputs.task != task:
        raise Refused("run_unusable", f"{journal}: the run asked for {inputs.task}")
    return inputs


@dataclass(frozen=True, slots=True)
class _Dead:
    """Dead letters, the oldest first; those that died since the slot began are left to the next one."""

    site: Site
    query: DeadLetters
    times: Times

    def items(self, mark: object) -> Iterator[Item | Unusable]:
        """Yield each with its payload."""
        letters = self.site.store.letters
        done = tuple(cast("list[object]", mark)) if mark else (0.0, "")
        found = sorted((until, key) for key, until in letters.dead_jobs())
        waiting = [each for each in found if each > done]
        for first in range(0, len(waiting), _LETTERS):
            page = waiting[first : first + _LETTERS]
            for (until, key), dead in zip(page, letters.show([key for _, key in page]), strict=True):
                if dead is not None and self._is_meant(dead):
                    yield from self._item([until, key], key)

    def _is_meant(self, dead: DeadJob) -> bool:
        reasons, word = self.query.reasons, dead.reason.partition("@")[0]
        return (
            dead.job.task == self.query.task
            and (not reasons or dead.reason in reasons or word in reasons)
            and dead.since < self.times.began
            and dead.since <= self.times.now() - self.query.older_than
        )

    def _item(self, mark: object, key: Key) -> Iterator[Item | Unusable]:
        # A list has no payloads: they are read one by one.
        dead = self.site.store.letters.show([key], payload=True)[0]
        if dead is None:  # somebody else has replayed it
            return
        payload = _payload_of(dead.job.payload)
        if payload is None:
            yield Unusable(key, mark, f"key {key}", "", "the payload of the dead letter is damaged")
        else:
            yield Item(key, mark, f"key {key}", payload, as_first(dead.job), dead)


@dataclass(frozen=True, slots=True)
class _Stale:
    """Answers that go stale, by their buckets and keys; one that is made anew is none of them any more."""

    site: Site
    task: str
    within: float
    run: str

    def items(self, mark: object) -> Iterator[Item | Unusable]:
        """Yield each with its payload."""
        begin, done = cast("tuple[int, str]", mark or (0, ""))
        for first in range(begin, BUCKETS, _BUCKETS):
            buckets = range(first, min(first + _BUCKETS, BUCKETS))
            for each in sorted(self.site.store.due.going_stale(buckets, self.task, self.within)):
                if first > begin or each.key > done:
                    yield from self._item(first, each)

    def _item(self, first: int, found: GoingStaleAnswer) -> Iterator[Item | Unusable]:
        spec, key = self.site.specs[self.task], found.key
        if found.version != spec.version:
            return  # nobody asks for it any more
        payload, mark = _payload_of(found.payload), [first, key]
        if payload is None:
            yield Unusable(key, mark, f"key {key}", "", "its payload was not kept")
            return
        # A refresh that comes late looks once more before it pays: somebody may have made the answer anew.
        options = {"run": self.run, "tenant": found.tenant, "max_age": max(0.0, found.age - _INSTANT)}
        yield Item(key, mark, f"key {key}", payload, options)


def _payload_of(text: bytes) -> dict[str, object] | None:
    try:
        found = orjson.loads(text)
    except orjson.JSONDecodeError:
        return None
    return found if isinstance(found, dict) else None
