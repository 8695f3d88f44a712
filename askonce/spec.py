"""What one kind of work is: its identity, how long its answers are good, how it is retried."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryPolicy:
    """How often a call is attempted, and how long it rests in between.

    The rest before attempt *n + 1* is drawn between 0 and ``base * 2**(n - 1)`` seconds, at most
    ``cap`` seconds (full jitter, AWS Architecture Blog 2015). A provider's own wish wins.
    """

    max_attempts: int = 3
    base: float = 5.0
    cap: float = 300.0
    #: What happens to a key whose attempts are spent: ``quarantine`` keeps the failure until an
    #: operator replays it; ``backoff`` rests for ``cap`` at most and lets the next caller try.
    on_give_up: Literal["quarantine", "backoff"] = "quarantine"


@dataclass(frozen=True, slots=True, kw_only=True)
class JobSpec:
    """One kind of work. All times are in seconds, all sizes in bytes."""

    #: The task's name; where the spec is given to a Celery task, that task's name when empty.
    name: str = ""
    #: Part of the key: raise it when the same payload must be called again.
    version: str = "1"
    #: What operators read beside the version, such as the name of a model. It is no part of the key.
    label: str = ""
    #: Payload fields that make the identity; the whole payload where one of them is missing.
    key_fields: tuple[str, ...] = ()
    #: How long an answer is fresh: served without a call.
    soft_ttl: float = 3600.0
    #: How long an answer may be served when a call fails; at least ``soft_ttl``.
    hard_ttl: float = 86400.0
    #: How long a permanent failure answers for its payload.
    failure_ttl: float = 120.0
    #: A worker's timed right to run; renewed every third of it.
    lease: float = 30.0
    #: After this long without a start the message counts as lost and is sent again.
    queue_deadline: float = 60.0
    retry: RetryPolicy = field(default_factory=RetryPolicy)
    #: Same key, other payload: make a new job and fence the old run, or refuse and disclose nothing.
    on_mismatch: Literal["replace", "conflict"] = "replace"
    #: What a process does while the store does not answer: ``local`` makes the call without it, at most
    #: once at a time for each key and process, within a budget; ``defer`` puts the job back; ``fail``
    #: raises at once.
    on_store_down: Literal["local", "defer", "fail"] = "defer"
    max_payload_bytes: int = 1 << 20
    max_value_bytes: int = 1 << 20
    #: Raises PayloadInvalid for a payload that the task body could not use.
    validate: Callable[[Mapping[str, object]], None] | None = None

    def __post_init__(self) -> None:
        """Refuse what cannot work, by name."""
        for name in ("soft_ttl", "hard_ttl", "failure_ttl", "lease", "queue_deadline"):
            if getattr(self, name) <= 0:
                raise ValueError(f"JobSpec {self.name}: {name} must be more than 0 seconds")
        if "\n" in self.version:
            # Messages and records carry version and tenant as two lines.
            raise ValueError(f"JobSpec {self.name}: version must be one line")
        if self.hard_ttl < self.soft_ttl:
            raise ValueError(f"JobSpec {self.name}: hard_ttl must not be shorter than soft_ttl")
        if self.retry.max_attempts < 1:
            raise ValueError(f"JobSpec {self.name}: max_attempts must be at least 1")
