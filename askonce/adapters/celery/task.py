"""Makes any Celery task idempotent: ``base=IdempotentTask`` and a spec.

    once = AskOnce(app, store=lambda: RedisStore.from_url(URL, namespace="shop"))

    @app.task(name="rates.fetch", base=IdempotentTask, spec=JobSpec(soft_ttl=300))
    def fetch(currency): ...

A message that askonce sent carries its key, and runs only if its job is the one admitted. A message that
something else sent (a canvas, a scheduler, a monitor) admits its job first. Where a caller may wait for the
message's own task id, the call is made inline, so that this id gets its result.
"""

from __future__ import annotations

import inspect
import random
import re
import sys
from dataclasses import dataclass, replace
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any, ClassVar, TypeGuard, Unpack, assert_never, cast

import orjson
from celery import Task
from celery.backends.base import DisabledBackend
from celery.exceptions import Ignore, Reject, Retry

from askonce.adapters.celery.app import of
from askonce.adapters.celery.bodies import PlainBody, require_plain
from askonce.adapters.celery.letters import keep_letter
from askonce.adapters.celery.result import RowResult
from askonce.adapters.celery.routing_key import routing_key_of
from askonce.adapters.celery.sender import HEADER
from askonce.decide import Refuse, Wait, Why
from askonce.errors import (
    AnswerUnreadable,
    FingerprintMismatch,
    JobFailed,
    PayloadInvalid,
    RecordDamaged,
    ResultTimeout,
    StoreUnavailable,
    Superseded,
)
from askonce.events import EventType, Subject, emit
from askonce.execution import Computed, Deferred, Delivery, Execution, Failed, Reused, Skipped
from askonce.job import JobId, Routing
from askonce.key import identify, normal_form
from askonce.outcomes import Conflict, Hit, Unreadable
from askonce.retry import rest
from askonce.spec import JobSpec, RetryPolicy

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from celery.app.task import Context
    from celery.result import AsyncResult

    from askonce.adapters.celery.app import AskOnce
    from askonce.job import Job
    from askonce.options import Options
    from askonce.outcomes import Outcome

#: How long a message rests before it is delivered again when the store did not answer.
_STORE_DOWN = RetryPolicy(base=5.0, cap=60.0)
#: A message of another version is sent again so often, each time after so many seconds.
_OTHER_VERSION_TRIES, _OTHER_VERSION_REST = 3, 5.0
_DIGEST = re.compile("[0-9a-f]{64}")
#: What our message header holds; and ``job`` where the message's own id is another.
_TEXTS = frozenset({"key", "fingerprint", "version", "tenant", "run"})
_TIMES = frozenset({"admitted_at", "sent_at"})
_NO_REPR = {"argsrepr": "()", "kwargsrepr": "{}"}
#: Options of ``apply_async`` that are askonce's own.
_OWN = frozenset({"on_duplicate", "force", "max_age", "tenant", "run"})


class IdempotentTask(PlainBody, Task):  # type: ignore[type-arg]  # generic in the stubs only
    """A Celery task whose equal calls are made once. Needs an AskOnce on its app."""

    abstract = True
    spec: ClassVar[JobSpec | None] = None
    #: Answers live in the record. Celery's own results serve canvases; a task turns them on for itself.
    ignore_result = True
    #: A killed child's message comes back, because a caller may wait for its id; the record bounds its
    #: attempts.
    reject_on_worker_lost = True
    Request = "askonce.adapters.celery.request:PartRequest"
    #: Ends without an answer are outcomes: logged without a traceback.
    throws = (
        JobFailed,
        Superseded,
        PayloadInvalid,
        AnswerUnreadable,
        ResultTimeout,
        FingerprintMismatch,
        StoreUnavailable,
        RecordDamaged,
    )
    #: Seconds that a part of a canvas waits for another worker's run.
    attach_timeout = 600.0

    @classmethod
    def on_bound(cls, app: Any) -> None:
        """Take rows with more fields than the function has, where the spec's ``input`` chooses the fields.

        Raises:
            TypeError: the body is a coroutine function, which no worker of Celery awaits.
        """
        super().on_bound(app)
        require_plain(str(cls.name), cls.run)
        if cls.spec is not None and cls.spec.input is not None:
            # Celery would compare each row with the function.
            cls.typing = False

    @cached_property
    def job_spec(self) -> JobSpec:
        """Return the spec under the task's name."""
        spec = self.spec or JobSpec()
        if spec.name not in ("", self.name):
            raise ValueError(f"task {self.name} has the spec of {spec.name}")
        return replace(spec, name=self.name, input=spec.input and partial(self._read, spec.input))

    @cached_property
    def _kept_spec(self) -> JobSpec:
        """The same for an answer that several callers share: as the record keeps it."""
        return replace(self.job_spec, present=None)

    def enqueue(self, payload: Mapping[str, object], **options: Unpack[Options]) -> Outcome:
        """Enqueue *payload*, the task's keyword arguments; options and errors as Producer.enqueue."""
        return self._once.producer.enqueue(self.job_spec, self._bind((), payload), **options)

    def apply_async(  # type: ignore[override]  # the stubs spell out every option
        self,
        args: Any = None,
        kwargs: Any = None,
        task_id: str | None = None,
        **options: Any,
    ) -> AsyncResult[Any]:
        """Enqueue, and return Celery's result of the job that answers.

        Options that a message must carry (``link``, ``chain``, ``countdown``, a canvas's) make it a message
        of its own; the worker then attaches it to an equal job.

        Raises:
            FingerprintMismatch: the key belongs to another payload.
            AnswerUnreadable: the kept answer is in a codec that is not installed here.
            JobError: what ``enqueue`` raises.
        """
        if options.keys() - _OWN or self.app.conf.task_always_eager:
            foreign = {name: value for name, value in options.items() if name not in _OWN}
            # Otherwise Celery would show the arguments to every monitor.
            return super().apply_async(args, kwargs, task_id=task_id, **{**_NO_REPR, **foreign})
        payload = self._bind(args or (), kwargs or {})
        outcome = self._once.producer.enqueue(self._kept_spec, payload, job=task_id, **options)
        if isinstance(outcome, Conflict):
            raise FingerprintMismatch(key=outcome.key)
        if isinstance(outcome, Unreadable):
            raise outcome.error
        if not self._keeps_results or self.ignore_result:
            return self.AsyncResult(outcome.job)
        if isinstance(outcome, Hit):
            # Celery may have forgotten its result, or never had it: the call was made outside of a task.
            cast("Any", self.backend).store_result(outcome.job, outcome.answer.value, "SUCCESS")
        if (present := self.job_spec.present) is None:
            return self.AsyncResult(outcome.job)
        return RowResult(outcome.job, self.backend, app=self.app, present=present, row=payload)

    def __call__(self, /, *args: Any, **kwargs: Any) -> Any:
        """Run the body if this message is the one that should; called directly, just run it."""
        request = self.request
        if request.called_directly:
            return super().__call__(*args, **kwargs)
        header = (request.headers or {}).get(HEADER)
        try:
            return self._answer(request, header, args, kwargs)
        except StoreUnavailable as exc:
            if self.job_spec.on_store_down == "fail":
                raise
            raise self._put_back(exc) from None

    def _answer(self, request: Context, header: object, args: Any, kwargs: Any) -> object:
        try:
            if not _is_ours(header):
                row = self._bind(args, kwargs)
                job = identify(self.job_spec, row, job_id=str(request.id))
                job = job._replace(routing=_came_by(request))
                if self._is_waited_for(request):
                    return self._call_inline(job, row)
                runner, delivery = self._once.process().runner, Delivery(spec=self.job_spec, job=job)
                return _verdict(runner.admit_and_run(delivery, self._body(job)))
            version = header["version"]
            if version != self.job_spec.version:
                raise self._pass_on(request, header, version)
            job_id = header.get("job", str(request.id))
            job = identify(self.job_spec, kwargs, header["tenant"], job_id)
            came = {"routing": _came_by(request), "run": header["run"], "admitted_at": header["admitted_at"]}
            job = job._replace(**came)
        except PayloadInvalid as exc:
            about = Subject(task=self.name, id=str(request.id))
            emit(self._once.listen, EventType.JOB_INVALID, about, field=exc.field, reason=exc.reason)
            self._keep("invalid_payload", request, args, kwargs)
            raise
        if args or (job.key, job.fingerprint) != (header["key"], header["fingerprint"]):
            # This header names a record that is not this payload's, wherever it came from.
            self._keep("identity_mismatch", request, args, kwargs)
            raise Reject("the key is not the payload's", requeue=False)
        if self._is_waited_for(request):
            # Callers with different rows share this message's id.
            return self._call_inline(job.under(JobId(str(request.id))), None)
        delivery = Delivery(spec=self.job_spec, job=job)
        return _verdict(self._once.process().runner.run(delivery, self._body(job)))

    def _pass_on(self, request: Context, header: dict[str, Any], version: str) -> Exception:
        """Leave a job of another version to a worker that has that version; the record keeps the job."""
        if request.retries < _OTHER_VERSION_TRIES:
            return self._put_back(Ignore("another version of the task"), _OTHER_VERSION_REST)
        about = Subject(task=self.name, key=header["key"], id=str(request.id))
        emit(self._once.listen, EventType.MESSAGE_OTHER_VERSION, about, version=version)
        return Ignore("another version of the task")

    def _keep(self, reason: str, request: Context, args: Any, kwargs: Any) -> None:
        """Keep a message that cannot be run, without the header that named its job."""
        try:
            keep_letter(self.app, reason, task=self.name, job=str(request.id), arguments=(args, kwargs))
        except StoreUnavailable as exc:
            raise self._put_back(exc) from None

    def _put_back(self, why: Exception, countdown: float | None = None) -> Exception:
        """Send the message again for later, without a limit: nothing was run."""
        if countdown is None:
            # Celery refuses less than a second where RabbitMQ delays messages.
            countdown = max(1.0, rest(_STORE_DOWN, min(10, self.request.retries + 1), random.uniform))
        try:
            # None would mean the task's own limit of three.
            self.retry(exc=why, countdown=countdown, max_retries=sys.maxsize)
        except Retry as again:
            return again
        except Reject:
            # The broker is down too. Celery would drop the message; requeued, it is there when both return.
            return Reject("the broker is down", requeue=True)
        raise AssertionError("retry always raises")

    def _call_inline(self, job: Job, row: Mapping[str, object] | None) -> object:
        """Answer a message whose own task id a caller waits for, with its *row* if it has one."""
        caller, body = self._once.process().caller, self._body(job)
        return caller.call(self.job_spec, job, body, timeout=self.attach_timeout, row=row).value

    def _body(self, job: Job) -> Callable[[], object]:
        return lambda: self.run(**orjson.loads(job.payload))

    def _is_waited_for(self, request: Context) -> bool:
        if request.callbacks or request.errbacks or request.chain or request.chord or request.group:
            return True
        ignored = self.ignore_result if request.ignore_result is None else request.ignore_result
        return not ignored and self._keeps_results

    @cached_property
    def _once(self) -> AskOnce:
        return of(self.app)

    @cached_property
    def _keeps_results(self) -> bool:
        return not isinstance(self.app.backend, DisabledBackend)

    def _bind(self, args: Any, kwargs: Mapping[str, object]) -> dict[str, object]:
        """Turn a call into a payload with defaults, so that ``f(1)`` and ``f(x=1)`` are one job."""
        if not args and self._takes_any:
            return dict(kwargs)
        if self.job_spec.input is None:
            bound = self._fitting(self._signature.bind, *args, **kwargs)
            bound.apply_defaults()
            return self._named(bound)
        # The row may have more fields than the task takes.
        named = self._named(self._fitting(self._signature.bind_partial, *args))
        if twice := named.keys() & kwargs.keys():
            raise PayloadInvalid(field=min(twice), reason="given twice")
        return {**named, **kwargs}

    def _named(self, bound: inspect.BoundArguments) -> dict[str, object]:
        payload: dict[str, object] = {}
        for name, value in bound.arguments.items():
            kind = self._signature.parameters[name].kind
            if kind is inspect.Parameter.VAR_POSITIONAL:
                raise PayloadInvalid(field=name, reason="a payload has named fields only")
            payload |= value if kind is inspect.Parameter.VAR_KEYWORD else {name: value}
        return payload

    def _read(
        self, read: Callable[[Mapping[str, object]], object], row: Mapping[str, object]
    ) -> dict[str, object]:
        """Return the fields that *read* takes out of *row*, if they fit the task."""
        fields = normal_form(read, row)
        if not self._takes_any:
            self._fitting(self._signature.bind, **fields)
        return fields

    def _fitting(
        self, bind: Callable[..., inspect.BoundArguments], /, *args: Any, **kwargs: Any
    ) -> inspect.BoundArguments:
        try:
            return bind(*args, **kwargs)
        except TypeError as exc:
            # inspect's own text names the parameter, never a value.
            raise PayloadInvalid(field="", reason=str(exc)) from None

    @cached_property
    def _signature(self) -> inspect.Signature:
        return inspect.signature(self.run)

    @cached_property
    def _takes_any(self) -> bool:
        kinds = {parameter.kind for parameter in self._signature.parameters.values()}
        return kinds == {inspect.Parameter.VAR_KEYWORD}


@dataclass(frozen=True, slots=True, repr=False)
class Verdict:
    """What logs and monitors show of a job in place of its answer."""

    outcome: str
    key: str
    cost_usd: float | None = None

    def __repr__(self) -> str:
        # A flat literal, so that Flower can search its fields.
        return f"{{'outcome': '{self.outcome}', 'key': '{self.key[:16]}', 'cost_usd': {self.cost_usd}}}"


def _verdict(executed: Execution) -> Verdict:
    """Turn the end of a delivery into Celery's terms."""
    match executed:
        case Computed(result=result) | Reused(result=result):
            return Verdict(result.source, result.key, result.spend.cost_usd)
        case Deferred():
            # Celery only notes the state: the record has the job and the reaper sends it again.
            raise Retry(f"{executed.reason}, again in {executed.after:.1f} s")
        case Failed():
            raise executed.to_error()
        case Skipped():
            return _skipped(executed.because, executed.key)
    assert_never(executed)


def _skipped(because: Wait | Refuse, key: str) -> Verdict:
    match because:
        case Wait():
            raise Ignore
        case Refuse(why=why):
            pass
    match why:
        case Why.RESTS:
            raise Ignore
        case Why.CONFLICT | Why.SUPERSEDED | Why.GONE | Why.UNREADABLE | Why.FAILED | Why.STORE_DOWN:
            return Verdict(why.value, key)
    assert_never(why)


def _is_ours(header: object) -> TypeGuard[dict[str, Any]]:
    """Return whether *header* has the form of ours; its content is compared with the payload."""
    if not isinstance(header, dict) or header.keys() - {"job"} != _TEXTS | _TIMES:
        return False
    return (
        all(isinstance(header[name], str) and header[name].isprintable() for name in header.keys() - _TIMES)
        and all(type(header[name]) is int for name in _TIMES)
        and all(_DIGEST.fullmatch(header[name]) for name in ("key", "fingerprint"))
    )


def _came_by(request: Context) -> Routing:
    """Return how the message travelled: a job that it admits goes the same way."""
    priority = (request.delivery_info or {}).get("priority")
    queue = routing_key_of(request.delivery_info)
    return Routing(queue=queue if queue.isprintable() else "", priority=priority or None)
