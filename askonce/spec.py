"""What one kind of work is: its identity, how long its answers are good, how it is retried."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Literal

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping


#: Seconds. The store keeps times as whole milliseconds, so a shorter one would be none at all. Ten years are
#: for ever, and their milliseconds are whole numbers that Lua and JSON keep exactly (below 2**53).
SHORTEST, LONGEST = 0.001, 315_360_000.0
#: Tags of one payload, and characters of each.
MOST_TAGS, TAG_KEPT = 8, 100
#: Seconds: no job rests longer before its next attempt, whatever its provider wishes.
LONGEST_REST = 86_400.0
#: Seconds: a record outlives a lease by this, so that a late write is fenced (``record.TOMBSTONE_KEPT``).
LONGEST_LEASE = 3_600.0
#: Seconds: as long as a record keeps a job in flight (``record.FLIGHT_KEPT``).
LONGEST_QUEUE_DEADLINE = 604_800.0
#: For ever.
MOST_ATTEMPTS: Final = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class RetryPolicy:
    """How often a call is attempted, and how long it rests in between.

    The rest before attempt *n + 1* is drawn between 0 and ``base * 2**(n - 1)`` seconds, at most
    ``cap`` seconds (full jitter, AWS Architecture Blog 2015). A provider's own wish wins, also over ``cap``:
    at least a second, at most a day. ``base`` and ``cap`` are at most a day too.
    """

    max_attempts: int = 3
    base: float = 5.0
    cap: float = 300.0
    #: What happens to a key whose attempts are spent: ``quarantine`` keeps the failure until an
    #: operator replays it; ``backoff`` rests for ``cap`` at most and lets the next caller try.
    on_give_up: Literal["quarantine", "backoff"] = "quarantine"

    def __post_init__(self) -> None:
        """Refuse what cannot work, by name."""
        for name in ("base", "cap"):
            _require_seconds("RetryPolicy", name, getattr(self, name), LONGEST_REST)
        give_up = ("quarantine", "backoff")
        _require("RetryPolicy", "on_give_up", " or ".join(give_up), fits=self.on_give_up in give_up)
        attempts: object = self.max_attempts
        if type(attempts) is not int or not 1 <= attempts <= MOST_ATTEMPTS:
            raise ValueError(
                f"RetryPolicy: max_attempts must be at least 1 and at most {MOST_ATTEMPTS}, not {attempts}"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class JobSpec:
    """One kind of work. All times are in seconds, all sizes in bytes.

    A time is at least a millisecond. Times to live are at most ten years, a lease an hour, a queue deadline
    seven days.
    """

    #: The task's name; where the spec is given to a Celery task, that task's name when empty.
    name: str = ""
    #: Part of the key: raise it when the same payload must be called again.
    version: str = "1"
    #: Returns the fields of a payload that the task uses, in their normal form: a mapping, or a pydantic
    #: model. Key, fingerprint, message, record and body get these fields and no others, without null.
    #: Raises PayloadInvalid for a payload that the body could not use. A worker applies it again to what it
    #: returned: that must change nothing. Without it, the whole payload counts, with its types.
    input: Callable[[Mapping[str, object]], object] | None = None
    #: Fields that make the identity, read after ``input``; the whole payload where one of them is missing.
    key_fields: tuple[str, ...] = ()
    #: Fields, read after ``input``, that monitors and logs may show: ids, and nothing that a customer wrote.
    #: A value is shown where it is a whole number, or one printable line of at most 64 characters.
    shown: tuple[str, ...] = ()
    #: Joins the kept answer to one caller's own row, wherever a caller that has a row receives an answer. It
    #: gets the payload as that caller gave it, and the answer; it returns a new value and changes neither.
    present: Callable[[Mapping[str, object], object], object] | None = None
    #: How long an answer is fresh: served without a call.
    soft_ttl: float = 3600.0
    #: How long an answer may be served when a call fails; at least ``soft_ttl``.
    hard_ttl: float = 86400.0
    #: How long a permanent failure answers for its payload.
    failure_ttl: float = 120.0
    #: For how long after ``soft_ttl`` a stale answer is served while one job makes it anew; 0: not at all.
    stale_while_revalidate: float = 0.0
    #: For how long after ``soft_ttl`` it is served when the call fails; None: until ``hard_ttl``.
    stale_if_error: float | None = None
    #: Keep the payload beside the answer, so that a schedule can make it anew before it is stale.
    keep_payload: bool = False
    #: Older versions, the newest first. Until the first answer of this version, a caller who does not want to
    #: wait is served theirs of the same payload, as a stale one.
    serves_versions: tuple[str, ...] = ()
    #: Returns the tags of a payload, read after ``input``: at most 8 printable lines of 100 characters each.
    #: Answers of one tag, of whatever task, can be invalidated together.
    tags: Callable[[Mapping[str, object]], Iterable[str]] | None = None
    #: A worker's timed right to run; renewed every third of it.
    lease: float = 30.0
    #: After this long without a start the message counts as lost and is sent again.
    queue_deadline: float = 60.0
    retry: RetryPolicy = field(default_factory=RetryPolicy)
    #: How long a job may be parked while its provider refuses calls unpaid: no attempt is counted. With 0, a
    #: refusal is an attempt: for a task that has a fallback.
    park_for: float = 86_400.0
    #: The model that the calls go to, for counters and pauses; empty where there is none.
    model: str = ""
    #: Same key, other payload: make a new job and fence the old run, or refuse and disclose nothing.
    on_mismatch: Literal["replace", "conflict"] = "replace"
    #: What a process does while the store does not answer: ``local`` makes the call without it, at most
    #: once at a time for each key and process, within a budget; ``defer`` puts the job back; ``fail``
    #: raises at once.
    on_store_down: Literal["local", "defer", "fail"] = "defer"
    #: Of the payload as its caller gave it, and of the fields that ``input`` returns.
    max_payload_bytes: int = 1 << 20
    max_value_bytes: int = 1 << 20

    def __post_init__(self) -> None:
        """Refuse what cannot work, by name."""
        for name, longest in _LONGEST_OF.items():
            _require_seconds(f"JobSpec {self.name}", name, getattr(self, name), longest)
        parked: object = self.park_for
        if parked != 0 or isinstance(parked, bool):
            _require_seconds(f"JobSpec {self.name}", "park_for", parked, LONGEST_QUEUE_DEADLINE)
        self._require_kinds()
        for name in ("name", "version", "model"):
            # Records and counters keep each of them as one line.
            if not getattr(self, name).isprintable():
                raise ValueError(f"JobSpec {self.name!r}: {name} must be one printable line")
        for name in ("stale_while_revalidate", "stale_if_error"):
            seconds: object = getattr(self, name)
            if seconds is not None and (seconds != 0 or isinstance(seconds, bool)):
                _require_seconds(f"JobSpec {self.name}", name, seconds, LONGEST)
        if self.hard_ttl < self.soft_ttl:
            raise ValueError(f"JobSpec {self.name}: hard_ttl must not be shorter than soft_ttl")

    def _require_kinds(self) -> None:
        """Refuse what is of another kind: a text is a tuple of its letters, and any word is some policy."""
        owner = f"JobSpec {self.name}"
        for name in ("name", "version", "model"):
            _require(owner, name, "text", fits=isinstance(getattr(self, name), str))
        for name in ("key_fields", "shown", "serves_versions"):
            fields: object = getattr(self, name)
            named = isinstance(fields, tuple) and all(isinstance(each, str) for each in fields)
            _require(owner, name, 'a tuple of names, such as ("order_id",)', fits=named)
        lines = "".join(self.serves_versions).isprintable() and self.version not in self.serves_versions
        _require(owner, "serves_versions", "older versions, each one printable line", fits=lines)
        _require(owner, "shown", "printable lines", fits="".join(self.shown).isprintable())
        if taken := _SHOWN_ALREADY.intersection(self.shown):
            raise ValueError(f"{owner}: shown names {min(taken)!r}: that is the job's own")
        for name in ("input", "present", "tags"):
            fits = getattr(self, name) is None or callable(getattr(self, name))
            _require(owner, name, "a function", fits=fits)
        _require(owner, "keep_payload", "True or False", fits=isinstance(self.keep_payload, bool))
        _require(owner, "retry", "a RetryPolicy", fits=isinstance(self.retry, RetryPolicy))
        for name, words in _POLICIES.items():
            _require(owner, name, " or ".join(words), fits=getattr(self, name) in words)


#: What monitors show of every job.
_SHOWN_ALREADY: Final = frozenset(("tenant", "key", "run"))
_POLICIES: Final = {"on_mismatch": ("replace", "conflict"), "on_store_down": ("local", "defer", "fail")}
_LONGEST_OF: Final = {
    "soft_ttl": LONGEST,
    "hard_ttl": LONGEST,
    "failure_ttl": LONGEST,
    "lease": LONGEST_LEASE,
    "queue_deadline": LONGEST_QUEUE_DEADLINE,
}


def _require(owner: str, name: str, kind: str, *, fits: bool) -> None:
    if not fits:
        raise ValueError(f"{owner}: {name} must be {kind}")


def _require_seconds(owner: str, name: str, seconds: object, longest: float) -> None:
    """Raise ValueError where *seconds* is a time that the store could not keep."""
    if not is_seconds(seconds, longest):
        raise ValueError(f"{owner}: {name} must be {SHORTEST} to {longest:.0f} seconds, not {seconds}")


def is_seconds(seconds: object, longest: float) -> bool:
    """Return whether *seconds* is a time that a store can keep."""
    number = seconds if isinstance(seconds, int | float) and not isinstance(seconds, bool) else 0.0
    # NaN is within no limits.
    return SHORTEST <= number <= longest
