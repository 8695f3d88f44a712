"""Uses the public API as a strict type checker sees it; checked by test_api.py, never run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, assert_never, assert_type

from askonce import (
    Answer,
    Attempt,
    Configuration,
    FingerprintMismatch,
    JobError,
    JobFailed,
    JobSpec,
    PayloadInvalid,
    Permanent,
    Result,
    ResultTimeout,
    RetryPolicy,
    SendFailed,
    Status,
    StoreUnavailable,
    Superseded,
    Transient,
    ValueInvalid,
    current_attempt,
)
from askonce.adapters.memory import MemoryStore
from askonce.adapters.redis import RedisStore
from askonce.answer import Source
from askonce.enqueue import Message, Producer
from askonce.events import Event
from askonce.execute import Executor
from askonce.execution import Computed, Deferred, Execution, Failed, Reused, Skipped
from askonce.handle import Handle, as_completed
from askonce.key import Identity, identify
from askonce.lease import LeaseRenewer
from askonce.outcomes import Admitted, Attached, Backoff, Conflict, Duplicate, Hit, Negative, Outcome
from askonce.record import Failure
from askonce.store import Start, Store, Write

SPEC = JobSpec(name="rates.fetch", key_fields=("currency",), retry=RetryPolicy(max_attempts=2))


class Broker:
    """A sender of one's own."""

    def send(self, message: Message) -> None:
        """Take it."""
        assert_type(message.payload, bytes)


def stores() -> list[Store]:
    """Each of ours is a Store."""
    return [MemoryStore(), RedisStore.from_url("redis://127.0.0.1", namespace="test")]


def ask(store: Store) -> Outcome:
    """Ask with every option; a listener sees events."""

    def listen(event: Event) -> None:
        assert_type(event.data, Mapping[str, object])

    producer = Producer(store=store, sender=Broker(), listen=listen)
    return producer.enqueue(
        SPEC, {"currency": "BRL"}, on_duplicate="reject", force=True, max_age=1.5, tenant="t", job="j"
    )


def tell(outcome: Outcome) -> str:
    """Match every outcome of half one; a new one breaks this function."""
    assert_type(outcome.key, str)
    assert_type(outcome.job, str)
    assert_type(outcome.result(1.0), Result)
    match outcome:
        case Admitted(handle=handle, stale=stale) | Attached(handle=handle, stale=stale):
            assert_type(handle, Handle)
            assert_type(stale, Result | None)
            assert_type(handle.status(), Status)
            return handle.job
        case Duplicate():
            return "duplicate"
        case Hit(answer=answer):
            assert_type(answer, Result)
            return answer.source
        case Negative(failure=failure, attempts=attempts):
            assert_type(failure, Failure)
            assert_type(attempts, int)
            return failure.reason
        case Backoff(wait=wait, failure=last, stale=stale):
            assert_type(wait, float)
            assert_type(last, Failure | None)
            assert_type(stale, Result | None)
            return "backoff"
        case Conflict():
            return "conflict"
    assert_never(outcome)


def tell_execution(execution: Execution) -> str:
    """Match every outcome of half two."""
    match execution:
        case Computed(result=result, stored=stored):
            assert_type(stored, Write)
            return result.source
        case Reused(result=result):
            return result.source
        case Skipped(outcome=outcome):
            assert_type(outcome, Start)
            return outcome.value
        case Deferred(reason=reason, after=after):
            assert_type(after, float)
            return reason
        case Failed(kind=kind, reason=reason, attempts=attempts):
            assert_type(attempts, int)
            return f"{kind} {reason}"
    assert_never(execution)


def read(result: Result) -> None:
    """Every field of an answer has a type one can build on."""
    assert_type(result.key, str)
    assert_type(result.job, str)
    assert_type(result.value, object)
    assert_type(result.source, Source)
    assert_type(result.source, Literal["call", "cache", "stale", "default"])
    assert_type(result.age, float)
    assert_type(result.attempts, int)
    assert_type(result.fence, int)
    assert_type(result.cost_usd, float | None)
    assert_type(result.usage, Mapping[str, int])
    assert_type(result.stored_at, float)


def tell_status(status: Status) -> str:
    """A status is one of seven."""
    match status:
        case Status.ABSENT | Status.QUEUED | Status.RUNNING | Status.DONE:
            return "good"
        case Status.STALE | Status.FAILED | Status.QUARANTINED:
            return "not so good"
    assert_never(status)


def wait(store: Store, handles: list[Handle]) -> None:
    """A handle ends in an answer or in an error."""
    for handle, ended in as_completed(store, handles, 1.0):
        assert_type(handle, Handle)
        assert_type(ended, Result | JobError)


def body() -> Answer:
    """A task body knows its attempt."""
    attempt = current_attempt()
    assert_type(attempt, Attempt)
    assert_type(attempt.fence, int)
    assert_type(attempt.stale, Result | None)
    attempt.checkpoint("resp_1")
    return Answer(value={"rate": 5.25}, cost_usd=0.01, usage={"input_tokens": 1})


def work(store: Store) -> Executor:
    """A worker of one's own."""
    return Executor(store=store, leases=LeaseRenewer(store), on_deferred=lambda _key, _after: None)


def identified() -> Identity:
    """A key without asking."""
    return identify(SPEC, {"currency": "BRL"})


def call_failures(error: JobError) -> object:
    """What a task body raises has a type."""
    match error:
        case Transient():
            assert_type(error.retry_after, float | None)
            return assert_type(error.maybe_billed, bool)
        case Permanent() | Configuration():
            return assert_type(error.reason, str)
    return str(error)


def errors(error: JobError) -> object:
    """What an asker may catch has a type."""
    match error:
        case PayloadInvalid() | ValueInvalid():
            return assert_type(error.field, str)
        case JobFailed():
            return assert_type(error.attempts, int)
        case ResultTimeout():
            return assert_type(error.waited_seconds, float)
        case Superseded() | SendFailed():
            return assert_type(error.job, str)
        case FingerprintMismatch():
            return assert_type(error.key, str)
        case StoreUnavailable():
            return assert_type(error.verb, str)
    return call_failures(error)


# What must not pass; mypy strict reports an ignore that is not needed.
JobSpec("rates.fetch")  # type: ignore[call-arg]  # must be refused
JobSpec(on_mismatch="ignore")  # type: ignore[arg-type]  # must be refused
RetryPolicy(on_give_up="never")  # type: ignore[arg-type]  # must be refused
Answer(value=1, source="guess")  # type: ignore[arg-type]  # must be refused
Transient()  # type: ignore[call-arg]  # must be refused
