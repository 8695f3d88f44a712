"""The list of series: each name, what it counts, and its labels. Names are public API.

Alert rules, recording rules and the dashboard use these names only, and tests compare them with this list. A
label has few values: tasks of the catalog, models, queues, outcomes. No label names a tenant, a job or a
worker, so that neither callers nor restarts make new series.
"""

from __future__ import annotations

from enum import Enum
from typing import Literal, NamedTuple

Kind = Literal["counter", "gauge", "histogram"]


class _Series(NamedTuple):
    name: str
    kind: Kind
    labels: tuple[str, ...]
    help: str


_TASK = ("task",)
_MONEY = ("task", "model")


class Series(Enum):
    """Every series that the metrics process exports."""

    ENQUEUED = _Series(
        "askonce_enqueued_total",
        "counter",
        ("task", "outcome"),
        "Calls of enqueue, and inline calls, by what they got.",
    )
    JOBS = _Series(
        "askonce_jobs_total",
        "counter",
        ("task", "outcome"),
        "Jobs that ended, by how. One whose answer came after another end is in both.",
    )
    DUPLICATES = _Series(
        "askonce_duplicates_total",
        "counter",
        ("task", "place"),
        "Calls that were not made because the same job was there, by the place that knew.",
    )
    CALLS = _Series(
        "askonce_calls_total", "counter", _MONEY, "Calls that a provider replied to, in all processes."
    )
    UNPRICED = _Series(
        "askonce_unpriced_calls_total", "counter", _MONEY, "Those of unknown price: they are not in the cost."
    )
    TOKENS = _Series(
        "askonce_tokens_total",
        "counter",
        ("task", "model", "type"),
        "Tokens as the provider counted them. Some types are parts of others: never add types up.",
    )
    COST = _Series("askonce_cost_usd_total", "counter", _MONEY, "What calls of known price cost.")
    AVOIDED = _Series("askonce_avoided_usd_total", "counter", _MONEY, "What hits would have cost as calls.")
    AVOIDED_UNKNOWN = _Series(
        "askonce_avoided_unknown_total", "counter", _MONEY, "Hits on answers of unknown cost."
    )
    IN_DOUBT = _Series(
        "askonce_in_doubt",
        "gauge",
        _MONEY,
        "Calls of which it is unknown whether they were paid. Falls when an owner comes back.",
    )
    WAIT = _Series(
        "askonce_wait_seconds",
        "histogram",
        _TASK,
        "Seconds from a job's first enqueue, or its countdown's end, to its first start (the store's clock).",
    )
    RUN = _Series(
        "askonce_run_seconds",
        "histogram",
        _TASK,
        "Seconds from a start to the answer or the failure of that run, by the store's clock.",
    )
    STARTED = _Series("askonce_runs_started_total", "counter", _TASK, "Leases granted: each is one run.")
    LEASES = _Series("askonce_leases", "gauge", _TASK, "Leases that owners hold now: jobs that are running.")
    LOST = _Series(
        "askonce_leases_lost_total", "counter", _TASK, "Leases taken from owners that did not renew them."
    )
    FENCED = _Series(
        "askonce_fenced_writes_total", "counter", _TASK, "Writes of owners whose lease another one has since."
    )
    RESENT = _Series("askonce_resends_total", "counter", _TASK, "Messages of lost jobs that were sent again.")
    PARKED = _Series(
        "askonce_parked_total", "counter", _TASK, "Jobs that a worker gave back before anything was paid."
    )
    DEGRADED = _Series(
        "askonce_degraded_total",
        "counter",
        ("task", "source"),
        "Answers without the store, counted once it was back: from memory, or by a call.",
    )
    IN_FLIGHT = _Series("askonce_jobs_in_flight", "gauge", (), "Jobs that are queued or running.")
    DEAD_JOBS = _Series("askonce_dead_jobs", "gauge", (), "Quarantined jobs that wait for a person.")
    DEAD_MESSAGES = _Series("askonce_dead_messages", "gauge", (), "Messages that no worker could use.")
    PAUSES = _Series("askonce_pauses", "gauge", ("scope",), "Pauses that hold, by what they hold back.")
    PROVIDERS_AWAY = _Series(
        "askonce_providers_away",
        "gauge",
        ("cure",),
        "Providers that accept no call now: wait, or a person must correct the configuration.",
    )
    SCHEDULE_ENTRIES = _Series("askonce_schedule_entries", "gauge", (), "Entries of the schedule.")
    SCHEDULE_SUCCESS = _Series(
        "askonce_schedule_last_success_timestamp_seconds",
        "gauge",
        ("entry",),
        "When a job of an entry of the schedule succeeded last, by the store's clock; 0 for never.",
    )
    SCHEDULE_PAUSED = _Series(
        "askonce_schedule_paused",
        "gauge",
        ("entry",),
        "1 where an entry of the schedule fires nothing until a person resumes it, else 0.",
    )
    QUEUE_LENGTH = _Series("askonce_queue_messages", "gauge", ("queue",), "Messages that wait in a queue.")
    QUEUE_OLDEST = _Series(
        "askonce_queue_oldest_seconds",
        "gauge",
        ("queue",),
        "No message of the queue has waited longer; 0 for an empty one.",
    )
    QUEUE_WORKERS = _Series("askonce_queue_workers", "gauge", ("queue",), "Workers that take a queue.")
    WORKERS = _Series("askonce_workers", "gauge", (), "Workers that live.")
    SLOTS = _Series("askonce_worker_slots", "gauge", (), "How many jobs they run at once.")
    STORE_UP = _Series(
        "askonce_store_up", "gauge", (), "1 where this reading has the store's numbers, else 0."
    )
    BROKER_UP = _Series(
        "askonce_broker_up", "gauge", (), "1 where this reading has the lengths of the queues, else 0."
    )
    STORE_KEYS = _Series("askonce_store_keys", "gauge", (), "Keys on the store's servers, also of others.")
    STORE_MEMORY = _Series("askonce_store_memory_bytes", "gauge", (), "Memory that the servers use.")
    STORE_MEMORY_LIMIT = _Series(
        "askonce_store_memory_limit_bytes", "gauge", (), "Memory that they may use; 0 for no limit."
    )
    STORE_EVICTED = _Series(
        "askonce_store_evicted_keys_total", "counter", (), "Keys that the servers evicted since their start."
    )
    READ_SECONDS = _Series("askonce_read_seconds", "gauge", (), "How long this reading took.")

    @property
    def metric(self) -> str:
        """The name of its samples; those of a histogram have suffixes."""
        return self.value.name

    @property
    def labels(self) -> tuple[str, ...]:
        """The names of its labels."""
        return self.value.labels
