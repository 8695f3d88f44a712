"""Makes Prometheus' text of one reading. The series of each task of the catalog are there from the start."""

from __future__ import annotations

from collections import Counter as Sums
from itertools import accumulate
from typing import TYPE_CHECKING, Final, get_args

from prometheus_client.core import Metric
from prometheus_client.exposition import generate_latest
from prometheus_client.utils import floatToGoString

from askonce.controls import Scope
from askonce.record import BOUNDS
from worker.metrics.series import Series

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

    from askonce.levels import Levels
    from askonce.tally import Counter
    from worker.metrics.reading import OfStore, Reading

#: Stands for all names that have no series of their own.
OTHER: Final = "other"
#: Models, and types of tokens, that have series of their own. A provider names the types.
_NAMES_AT_MOST: Final = 20
_TOKENS: Final = "tokens:"
_TYPES: Final = ("input_tokens", "output_tokens")
_MICROS: Final = 1_000_000
_ENQUEUED: Final = ("admitted", "attached", "hit", "stale", "negative", "backoff", "conflict", "resend")
_JOBS: Final = ("done", "failed", "fallback", "quarantined", "expired", "cancelled")
#: Counters that one series shows as they are.
_OF_TASK: Final = {
    Series.LOST: "lost",
    Series.FENCED: "fenced",
    Series.RESENT: "resent",
    Series.PARKED: "parked",
}
_OF_MONEY: Final = {
    Series.CALLS: "calls",
    Series.UNPRICED: "unpriced",
    Series.AVOIDED_UNKNOWN: "avoided_unknown",
    Series.IN_DOUBT: "in_doubt",
}
_OF_DOLLARS: Final = {Series.COST: "micro_usd", Series.AVOIDED: "avoided_micro_usd"}
_SCOPES: Final[tuple[Scope, ...]] = get_args(Scope)
_MONEY: Final = frozenset({*_OF_MONEY.values(), *_OF_DOLLARS.values()})


class Exposition:
    """The text of the readings of one catalog and one schedule."""

    def __init__(self, models: Mapping[str, str], entries: Iterable[str] = ()) -> None:
        """*models* are the model of each task of the catalog, ``""`` for none; *entries* the schedule's."""
        self._entries = tuple(entries)
        self._tasks = (*models, OTHER)
        self._pairs = {*models.items(), (OTHER, "")}
        self._models = _Names({model for model in models.values() if model})
        self._types = _Names(_TYPES)

    def text(self, reading: Reading) -> bytes:
        """Return the text."""
        families = _Families()
        families.add(Series.STORE_UP, float(reading.store is not None))
        families.add(Series.BROKER_UP, float(reading.queues is not None))
        families.add(Series.READ_SECONDS, reading.seconds)
        if reading.store is not None:
            self._add_counted(families, reading.store.counted)
            _add_levels(families, reading.store.levels)
            _add_state(families, reading.store)
            self._add_schedule(families, reading.store)
        if reading.queues is not None:
            _add_queues(families, reading.queues, reading.store)
        return families.text()

    def _add_counted(self, families: _Families, counted: Mapping[Counter, int]) -> None:
        of_task: dict[str, Sums[str]] = {task: Sums() for task in self._tasks}
        of_money: dict[tuple[str, str], Sums[str]] = {pair: Sums() for pair in self._pairs}
        for (task, _, model, what), amount in sorted(counted.items()):
            name = task if task in of_task else OTHER
            of_task[name][what] += amount
            if _is_money(what):
                of_money.setdefault((name, self._models.label(model)), Sums())[what] += amount
        self._pairs.update(of_money)
        for task, sums in of_task.items():
            _add_task(families, task, sums)
        for pair, sums in of_money.items():
            self._add_money(families, pair, sums)

    def _add_schedule(self, families: _Families, store: OfStore) -> None:
        families.add(Series.SCHEDULE_ENTRIES, len(self._entries))
        # The store may have noted others: entries of an older schedule, and what a stranger sent.
        for entry in self._entries:
            known = store.entries.get(entry)
            succeeded = known.succeeded / 1000 if known else store.successes.get(entry, 0.0)
            families.add(Series.SCHEDULE_SUCCESS, succeeded, entry)
            is_paused = known is not None and known.paused is not None
            families.add(Series.SCHEDULE_PAUSED, float(is_paused), entry)

    def _add_money(self, families: _Families, pair: tuple[str, str], sums: Sums[str]) -> None:
        for series, what in _OF_MONEY.items():
            families.add(series, sums[what], *pair)
        for series, what in _OF_DOLLARS.items():
            families.add(series, sums[what] / _MICROS, *pair)
        # A model has these from the start; others begin when a provider counts them.
        tokens = Sums[str](dict.fromkeys(_TYPES, 0) if pair[1] else {})
        for what, amount in sums.items():
            if what.startswith(_TOKENS):
                tokens[self._types.label(what.removeprefix(_TOKENS))] += amount
        for name, amount in tokens.items():
            families.add(Series.TOKENS, amount, *pair, name)


class _Names:
    """Names that have series of their own: those of the settings, then the first ones that are met."""

    def __init__(self, names: Iterable[str]) -> None:
        self._known = set(names) | {""}

    def label(self, name: str) -> str:
        if name not in self._known:
            if len(self._known) > _NAMES_AT_MOST:
                return OTHER
            self._known.add(name)
        return name


class _Families:
    """The metrics of one text, each with its samples."""

    def __init__(self) -> None:
        self._found: dict[Series, Metric] = {}

    def add(self, series: Series, value: float, *labels: str) -> None:
        self._family(series).add_sample(series.metric, dict(zip(series.labels, labels, strict=True)), value)

    def add_histogram(self, series: Series, what: str, sums: Sums[str], *labels: str) -> None:
        """Add the seconds that the scripts counted as *what*: how many lie between two bounds."""
        family, named = self._family(series), dict(zip(series.labels, labels, strict=True))
        counts = [sums[f"{what}:{milliseconds}"] for milliseconds in _MILLISECONDS]
        for bound, below in zip(_BOUNDS, accumulate(counts), strict=True):
            family.add_sample(f"{series.metric}_bucket", {**named, "le": bound}, below)
        family.add_sample(f"{series.metric}_count", named, sum(counts))
        family.add_sample(f"{series.metric}_sum", named, sums[f"{what}_ms"] / 1000)

    def text(self) -> bytes:
        return generate_latest(self)

    def collect(self) -> Iterator[Metric]:
        yield from self._found.values()

    def _family(self, series: Series) -> Metric:
        if series not in self._found:
            name = series.metric.removesuffix("_total") if series.value.kind == "counter" else series.metric
            self._found[series] = Metric(name, series.value.help, series.value.kind)
        return self._found[series]


_MILLISECONDS: Final = (*(round(bound * 1000) for bound in BOUNDS), "inf")
_BOUNDS: Final = (*map(floatToGoString, BOUNDS), "+Inf")


def _is_money(what: str) -> bool:
    return what in _MONEY or what.startswith(_TOKENS)


def _add_task(families: _Families, task: str, sums: Sums[str]) -> None:
    for outcome in _ENQUEUED:
        families.add(Series.ENQUEUED, sums[outcome], task, outcome)
    for outcome in _JOBS:
        families.add(Series.JOBS, sums[outcome], task, outcome)
    places = {
        "flight": sums["attached"],
        "record": sums["hit"] + sums["stale"] - sums["hit_in_memory"],
        "memory": sums["hit_in_memory"],
        "failure": sums["negative"] + sums["backoff"],
        "worker": sums["copy"],
    }
    for place, amount in places.items():
        families.add(Series.DUPLICATES, amount, task, place)
    families.add(Series.DEGRADED, sums["hit_in_memory"], task, "memory")
    families.add(Series.DEGRADED, sums["call_without_store"], task, "call")
    for series, what in _OF_TASK.items():
        families.add(series, sums[what], task)
    families.add_histogram(Series.WAIT, "wait", sums, task)
    families.add_histogram(Series.RUN, "run", sums, task)
    started, ended = _started(sums), _count("run", sums) + sums["parked"] + sums["lost"]
    families.add(Series.STARTED, started, task)
    families.add(Series.LEASES, max(0, started - ended), task)


def _started(sums: Sums[str]) -> int:
    return _count("wait", sums) + sums["restarted"]


def _count(what: str, sums: Sums[str]) -> int:
    return sum(sums[f"{what}:{milliseconds}"] for milliseconds in _MILLISECONDS)


def _add_levels(families: _Families, levels: Levels) -> None:
    families.add(Series.IN_FLIGHT, levels.in_flight)
    families.add(Series.DEAD_JOBS, levels.dead_jobs)
    families.add(Series.DEAD_MESSAGES, levels.dead_messages)
    of_servers = {
        Series.STORE_KEYS: levels.keys,
        Series.STORE_MEMORY: levels.used_bytes,
        Series.STORE_MEMORY_LIMIT: levels.most_bytes,
        Series.STORE_EVICTED: levels.evicted,
    }
    for series, number in of_servers.items():
        if number is not None:
            families.add(series, number)


def _add_state(families: _Families, store: OfStore) -> None:
    families.add(Series.WORKERS, len(store.workers))
    families.add(Series.SLOTS, sum(each.slots for each in store.workers))
    for scope in _SCOPES:
        families.add(Series.PAUSES, sum(pause.scope == scope for pause in store.pauses), scope)
    by_person = sum(each.configuration for each in store.away)
    families.add(Series.PROVIDERS_AWAY, by_person, "person")
    families.add(Series.PROVIDERS_AWAY, len(store.away) - by_person, "wait")


def _add_queues(families: _Families, queues: Mapping[str, int | None], store: OfStore | None) -> None:
    for queue, length in queues.items():
        if length is not None:
            families.add(Series.QUEUE_LENGTH, length, queue)
        if store is None:
            continue
        families.add(Series.QUEUE_WORKERS, sum(queue in each.queues for each in store.workers), queue)
        waits = 0.0 if length == 0 else store.levels.waits.get(queue)
        if waits is not None:
            families.add(Series.QUEUE_OLDEST, waits, queue)
