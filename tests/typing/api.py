"""Uses the public API as a strict type checker sees it; checked by test_api.py, never run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, assert_never, assert_type

from celery import Celery

from askonce import (
    Admitted,
    Answer,
    AnswerUnreadable,
    Attached,
    Attempt,
    Backoff,
    Codec,
    Conflict,
    Duplicate,
    Event,
    EventType,
    Failure,
    Handle,
    Hit,
    Job,
    JobError,
    JobSpec,
    Listener,
    Listening,
    Message,
    Negative,
    Outcome,
    PayloadInvalid,
    Producer,
    Result,
    RetryPolicy,
    Sender,
    Spend,
    Status,
    Superseded,
    Transient,
    Unreadable,
    Workers,
    as_completed,
    current_attempt,
    identify,
)
from askonce.adapters.celery import AskOnce, IdempotentTask
from askonce.adapters.memory import MemoryStore
from askonce.adapters.redis import RedisStore
from askonce.announcements import Announcement
from askonce.answer import Encoded, Source, Ttl
from askonce.board import Seen
from askonce.claim import Claim, Terms
from askonce.decision import Decision, Refuse, Run, Serve, Wait, Why
from askonce.execute import Executor
from askonce.execution import Computed, Deferred, Delivery, Execution, Failed, Reused, Skipped
from askonce.fields import as_id, as_lines, as_time
from askonce.inline import Caller
from askonce.job import Fingerprint, JobId, Key, Owner, Routing
from askonce.lease import LeaseRenewer
from askonce.letters import DeadJob, DeadMessage
from askonce.options import Options
from askonce.pace import Allowance, Pace, Provider, Rest, State, Turn
from askonce.runner import Runner
from askonce.schedule import Cron, Entry, Every, GoingStale, Policy
from askonce.store import Admission, Lease, Renewal, Reply, Start, Store, Write
from askonce.store_down.cache import LocalCache
from askonce.store_down.calls import LocalCalls


def used(row: Mapping[str, object]) -> dict[str, object]:
    """Return the fields that the task uses."""
    currency, day = as_id(row.get("currency"), "currency"), as_time(row.get("day"), "day")
    return {"currency": currency, "day": day, "note": as_lines("text")}


def join_to_row(row: Mapping[str, object], found: object) -> object:
    """Join an answer to one caller's row."""
    return {**row, "rate": found}


SPEC = JobSpec(
    name="rates.fetch",
    key_fields=("currency",),
    input=used,
    present=join_to_row,
    retry=RetryPolicy(max_attempts=2),
)


class Broker:
    """A sender of one's own."""

    @property
    def more_urgent(self) -> Literal["<", ">"]:
        """Deliver high numbers first."""
        return ">"

    def route(
        self, job: Job, row: Mapping[str, object] | None = None, options: Options | None = None
    ) -> Routing:
        """Send all jobs of a task to one queue."""
        return job.routing._replace(queue=job.routing.queue or job.task)

    def send(self, message: Message) -> None:
        """Take it."""
        assert_type(message.job, Job)
        assert_type(message.job.payload, bytes)


def stores() -> list[Store]:
    """Each of ours is a Store."""
    return [MemoryStore(), RedisStore.from_url("redis://127.0.0.1", namespace="test")]


def listen(event: Event) -> None:
    """Get every event."""
    assert_type(event.type, EventType)
    assert_type(event.type.level, int)
    assert_type(event.type.fields, Mapping[str, object])
    assert_type(event.name, str)
    assert_type(event.data, Mapping[str, object])


LISTEN: Listener = listen
SENDER: Sender = Broker()


def enqueue(store: Store) -> Outcome:
    """Enqueue with every option."""
    producer = Producer(store=store, sender=Broker(), listen=listen)
    return producer.enqueue(
        SPEC, {"currency": "BRL"}, on_duplicate="reject", force=True, max_age=1.5, tenant="t", job="j"
    )


def enqueue_many(store: Store, task: IdempotentTask) -> list[Outcome | JobError]:
    """Enqueue groups: errors of one payload are values, and may be passed in its place."""
    payloads: list[Mapping[str, object] | PayloadInvalid] = [
        {"currency": "BRL"},
        PayloadInvalid(field="currency", reason="is missing"),
    ]
    found = task.enqueue_many(payloads, jobs=["a", "b"], tenant="t")
    assert_type(found, list[Outcome | JobError])
    if isinstance(found[0], Superseded):
        assert_type(found[0].by, int | None)
    return Producer(store=store, sender=Broker()).enqueue_many(
        SPEC, ({"n": n} for n in range(3)), max_age=1.5
    )


def match_outcome(outcome: Outcome) -> str:
    """Match every outcome of half one; a new one breaks this function."""
    assert_type(outcome.key, Key)
    assert_type(outcome.job, JobId)
    assert_type(outcome.result(1.0), Result)
    match outcome:
        case Admitted(handle=handle, stale=stale) | Attached(handle=handle, stale=stale):
            assert_type(handle, Handle)
            assert_type(stale, Result | None)
            assert_type(handle.status(), Status)
            assert_type(handle.key, Key)
            return handle.job
        case Duplicate():
            return "duplicate"
        case Hit(answer=answer):
            assert_type(answer, Result)
            return answer.source
        case Unreadable(error=error):
            assert_type(error, AnswerUnreadable)
            return error.codec
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


def match_execution(execution: Execution) -> str:
    """Match every outcome of half two."""
    match execution:
        case Computed(result=result, stored=stored):
            assert_type(stored, Write)
            return result.source
        case Reused(result=result):
            return result.source
        case Skipped(because=because):
            assert_type(because, Wait | Refuse)
            return because.word
        case Deferred(reason=reason, after=after):
            assert_type(after, float)
            return reason
        case Failed(kind=kind, reason=reason, attempts=attempts):
            assert_type(attempts, int)
            return f"{kind} {reason}"
    assert_never(execution)


def match_decision(decision: Decision) -> str:
    """Match every decision."""
    match decision:
        case Serve(result=result):
            assert_type(result, Result)
            return result.source
        case Wait(rest=rest, stale=stale):
            assert_type(rest, float)
            assert_type(stale, Result | None)
            return decision.word
        case Run(job=job, new=new, sent=sent):
            assert_type(job, JobId)
            assert_type((new, sent), tuple[bool, bool])
            return job
        case Refuse(why=why):
            assert_type(why, Why)
            assert_type(decision.to_error(Key("k")), JobError)
            return decision.word
    assert_never(decision)


def read(result: Result) -> None:
    """Every field of an answer has a type to build on."""
    assert_type(result.key, Key)
    assert_type(result.job, JobId)
    assert_type(result.value, object)
    assert_type(result.source, Source)
    assert_type(result.source, Literal["call", "cache", "stale", "default"])
    assert_type(result.age, float)
    assert_type(result.attempts, int)
    assert_type(result.fence, int)
    assert_type(result.spend, Spend)
    assert_type(result.cost_usd, float | None)
    assert_type(result.usage, Mapping[str, int])
    assert_type(result.spend.maybe_billed, bool)
    assert_type(result.spend.own, Spend)
    assert_type(result.spend.shared_usd, float | None)
    assert_type(result.stored_at, float)
    assert_type(result.to_dict(), dict[str, object])


def match_status(status: Status) -> str:
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
    assert_type(attempt.key, Key)
    assert_type(attempt.fence, int)
    assert_type(attempt.stale, Result | None)
    attempt.checkpoint("resp_1")
    spent = Spend(cost_usd=0.0, calls=0)
    return Answer(
        value={"rate": 5.25}, cost_usd=0.01, usage={"input_tokens": 1}, calls=2, paid=spent, caused=spent
    )


def work(store: Store) -> Runner:
    """A worker of one's own."""
    executor = Executor(store=store, leases=LeaseRenewer(store), on_deferred=lambda _key, _after: None)
    runner = Runner(executor=executor, local=LocalCalls(store, LocalCache(), executor.spill))
    delivery = Delivery(spec=SPEC, job=identified())
    assert_type(runner.run(delivery, body), Execution)
    assert_type(runner.admit_and_run(delivery, body), Execution)
    row = {"currency": "BRL"}
    assert_type(Caller(runner=runner).call(SPEC, delivery.job, body, timeout=1.0, row=row), Result)
    return runner


def identified() -> Job:
    """A job that is not enqueued."""
    job = identify(SPEC, {"currency": "BRL"}, tenant="t", job_id="j")
    assert_type(job.key, Key)
    assert_type(job.id, JobId)
    assert_type(job.fingerprint, Fingerprint)
    assert_type(job.under(JobId("other")), Job)
    return job


def keep_records(store: Store, job: Job, owner: Owner) -> None:
    """The verbs take objects, and distinct types of text."""
    lease = Lease(job.key, owner, 30.0)
    assert_type(store.admit(Claim(job, Terms.of(SPEC, force=True, max_age=1.0))), Reply[Admission])
    assert_type(store.start(job, lease), Reply[Start])
    assert_type(store.renew([lease]), list[Renewal])
    assert_type(store.complete(lease, Encoded(b"j1", b""), Ttl(60.0, 600.0)), Write)


def dead_letters(store: Store) -> None:
    """The dead letters of a store."""
    assert_type(store.letters.dead_jobs(), list[tuple[Key, float]])
    assert_type(store.letters.show([Key("k")], payload=True), list[DeadJob | None])
    assert_type(store.letters.dead_messages(), list[DeadMessage])


def join(app: Celery) -> AskOnce:
    """An app of one's own, with a listener."""
    night = Entry(name="night", at=Cron("0 3 * * *"), query=GoingStale(task="rates.fetch"))
    schedule = [night, Entry(name="often", at=Every(60), query=night.query, policy=Policy(rate=5))]
    once = AskOnce(app, store=MemoryStore, codec=Codec(compression="zlib"), listen=listen, schedule=schedule)

    @app.task(name="rates.fetch", base=IdempotentTask, spec=SPEC)
    def fetch(currency: str) -> str:
        return currency

    assert_type(once.producer, Producer)
    assert_type(Handle.from_key(once.process().store, Key("k")), Handle)
    assert_type(once.listening("rates.fetch"), Listening)
    assert_type(once.listening("rates.fetch").workers, Workers)
    return once


def paced(store: Store) -> str:
    """Calls to a provider of one's own, in their turn."""
    seen = store.boards.exchange("service", "member", b"note", 2.5)
    assert_type(seen, Seen)
    assert_type(seen.notes, Mapping[str, bytes])
    assert_type(store.boards.propose("service", seen.version, b"state"), bool)
    pace = Pace(store.boards, Provider(board="service", ceiling=2.5), listen=listen)
    assert_type(pace.state, State)
    assert_type(pace.state.rest, Rest | None)

    def send(turn: Turn) -> str:
        turn.allowance = Allowance(100.0, 99.0, 0.6)
        return "answer"

    return pace.call("job", send)


def announced_workers(store: Store) -> None:
    """The workers of a store."""
    assert_type(store.announcements.workers(), list[Announcement])


# What must not pass; mypy strict reports an ignore that is not needed.
JobSpec("rates.fetch")  # type: ignore[call-arg]
JobSpec(on_mismatch="ignore")  # type: ignore[arg-type]
RetryPolicy(on_give_up="never")  # type: ignore[arg-type]
Answer(value=1, source="guess")  # type: ignore[arg-type]
Transient()  # type: ignore[call-arg]
Codec(compression="lz4")  # type: ignore[arg-type]


def refused(store: Store, job: Job, owner: Owner, lease: Lease, answer: Encoded, ttl: Ttl) -> None:
    """Swapped arguments, and text of another meaning."""
    store.start(lease, job)  # type: ignore[arg-type]
    store.complete(lease, ttl, answer)  # type: ignore[arg-type]
    store.complete(answer, lease, ttl)  # type: ignore[arg-type]
    store.complete(ttl, answer, lease)  # type: ignore[arg-type]
    store.invalidate("key")  # type: ignore[arg-type]
    store.invalidate(job.id)  # type: ignore[arg-type]
    store.read(["key"])  # type: ignore[list-item]
    Lease(owner, job.key, 30.0)  # type: ignore[arg-type]
    Lease(job.key, "owner", 30.0)  # type: ignore[arg-type]
    Lease("key", owner, 30.0)  # type: ignore[arg-type]
    job.under("job")  # type: ignore[arg-type]
    job.under(job.key)  # type: ignore[arg-type]
    Claim(Terms.of(SPEC), job)  # type: ignore[arg-type]
