"""Makes any Celery task idempotent: ``base=IdempotentTask`` and a spec.

    once = AskOnce(app, store=lambda: RedisStore.from_url(URL, namespace="shop"))

    @app.task(name="rates.fetch", base=IdempotentTask, spec=JobSpec(soft_ttl=300))
    def fetch(currency): ...

Every way to call it ends at the record: ``enqueue`` and most calls of ``apply_async`` before a message is
sent, any other message in the worker that gets it (``received.py``).
"""

from __future__ import annotations

import logging
import sys
from dataclasses import replace
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any, ClassVar, Unpack, cast

from celery import Task
from celery.backends.base import DisabledBackend
from celery.exceptions import Retry

from askonce.adapters.celery.app import of
from askonce.adapters.celery.arguments import Arguments
from askonce.adapters.celery.bodies import PlainBody, require_plain, require_taken
from askonce.adapters.celery.canvas import Chunks
from askonce.adapters.celery.control_flow import current_run, refused
from askonce.adapters.celery.header import (
    NO_REPR,
    is_continuation,
    is_passed,
    to_be_refused,
    with_own_options,
)
from askonce.adapters.celery.received import Received
from askonce.adapters.celery.result import NotKept, RecordResult
from askonce.adapters.celery.sender import require_sendable
from askonce.adapters.celery.verdict import with_answer
from askonce.adapters.celery.ways import OF_APPLY, require_own_message, sort, with_own_names
from askonce.errors import (
    AnswerUnreadable,
    FingerprintMismatch,
    JobFailed,
    OptionInvalid,
    PayloadInvalid,
    RecordDamaged,
    ResultTimeout,
    StoreUnavailable,
    Superseded,
)
from askonce.handle import Handle
from askonce.job import Key
from askonce.key import identify
from askonce.off_loop import off_loop
from askonce.options import id_of
from askonce.outcomes import Conflict, Duplicate, Hit, Unreadable
from askonce.spec import JobSpec

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from celery.result import AsyncResult

    from askonce.adapters.celery.app import AskOnce
    from askonce.errors import JobError
    from askonce.options import Options
    from askonce.outcomes import Outcome

#: Options that a worker calls when the task has ended.
_LINKS = ("link", "link_error", "chain", "chord")

_log = logging.getLogger("askonce")


class IdempotentTask(PlainBody, Task):  # type: ignore[type-arg]  # generic in the stubs only
    """A Celery task whose equal calls are made once. Needs an AskOnce on its app."""

    abstract = True
    spec: ClassVar[JobSpec | None] = None
    #: Answers live in the record. Celery's own results serve canvases; a task turns them on for itself.
    ignore_result = True
    #: Whether messages may bring links (callbacks, a chain, a chord), which a worker calls with its own
    #: rights. None: where the task keeps Celery's results.
    links: bool | None = None
    #: These five win over the app's settings. A message is done when its job is: a caller may wait for its
    #: id, so the message of a killed worker or child comes back. The record bounds its attempts.
    acks_late = True
    reject_on_worker_lost = True
    #: What a failure means is in the record: the message is done either way.
    acks_on_failure = True
    acks_on_timeout = True
    #: Celery would send a second message, and bound its attempts by the task's ``max_retries``.
    retry_on_worker_lost = False
    #: Logs, events and monitors show nothing of an answer that Celery stores: only a Verdict, or ", ...".
    resultrepr_maxsize = 0
    Request = "askonce.adapters.celery.request:PartRequest"
    #: Ends without an answer are outcomes: logged without a traceback.
    throws: Any = (
        JobFailed,
        Superseded,
        PayloadInvalid,
        OptionInvalid,
        AnswerUnreadable,
        ResultTimeout,
        FingerprintMismatch,
        StoreUnavailable,
        RecordDamaged,
    )
    #: Seconds that a part of a canvas waits for another worker's run.
    attach_timeout = 600.0

    def __init_subclass__(cls, **options: Any) -> None:
        """Check the spec where the task is written.

        Raises:
            TypeError: it is none.
        """
        super().__init_subclass__(**options)
        if cls.spec is not None and not isinstance(cls.spec, JobSpec):
            raise TypeError(f"task {cls.name}: spec must be a JobSpec")

    @classmethod
    def on_bound(cls, app: Any) -> None:
        """Take rows with more fields than the function has, where the spec's ``input`` chooses the fields.

        Raises:
            TypeError: the body is a coroutine function, which no worker of Celery awaits.
            ValueError: the spec shows a field that the body does not take.
        """
        super().on_bound(app)
        require_plain(str(cls.name), cls.run)
        require_taken(str(cls.name), cls.run, cls.spec)
        # A task's own come beside these.
        own = cls.throws if isinstance(cls.throws, tuple) else (cls.throws,)
        cls.throws = (*own, *IdempotentTask.throws)
        for name in ("on_success", "after_return"):
            # Whatever class or setting brought it: Celery calls it with what monitors see.
            if (callback := getattr(cls, name)) is not getattr(Task, name):
                setattr(cls, name, with_answer(callback))
        if cls.spec is not None and cls.spec.input is not None:
            # Celery would compare each row with the function.
            cls.typing = False

    @cached_property
    def job_spec(self) -> JobSpec:
        """Return the spec under the task's name."""
        spec = self.spec or JobSpec()
        if spec.name not in ("", self.name):
            raise ValueError(f"task {self.name} has the spec of {spec.name}")
        return replace(spec, name=self.name, input=spec.input and partial(self._arguments.read, spec.input))

    @cached_property
    def _kept_spec(self) -> JobSpec:
        """The same for an answer that several callers share: as the record keeps it."""
        return replace(self.job_spec, present=None)

    @property
    def takes_links(self) -> bool:
        """Whether a worker calls the links of this task's messages."""
        return not self.ignore_result if self.links is None else self.links

    def enqueue(self, payload: Mapping[str, object], **options: Unpack[Options]) -> Outcome:
        """Enqueue *payload*, the task's keyword arguments; options and errors as Producer.enqueue."""
        row = self.bind_row((), payload)
        return self.askonce.producer.enqueue(self.job_spec, row, **self._that_count(options))

    async def enqueue_async(self, payload: Mapping[str, object], **options: Unpack[Options]) -> Outcome:
        """Enqueue as ``enqueue`` does, on the running loop of asyncio; see Producer.enqueue_async."""
        return await off_loop(partial(self.enqueue, payload, **options))

    def enqueue_many(
        self,
        payloads: Iterable[Mapping[str, object] | PayloadInvalid],
        *,
        jobs: Sequence[str] | None = None,
        **options: Unpack[Options],
    ) -> list[Outcome | JobError]:
        """Enqueue each of *payloads*; outcomes, options and errors as Producer.enqueue_many."""
        rows, producer = map(self._row_or_error, payloads), self.askonce.producer
        return producer.enqueue_many(self.job_spec, rows, jobs=jobs, **self._that_count(options))

    def _row_or_error(
        self, payload: Mapping[str, object] | PayloadInvalid
    ) -> Mapping[str, object] | PayloadInvalid:
        if isinstance(payload, PayloadInvalid):
            return payload
        try:
            return self.bind_row((), payload)
        except PayloadInvalid as invalid:
            return invalid

    def apply_async(  # type: ignore[override]  # the stubs spell out every option
        self,
        args: Any = None,
        kwargs: Any = None,
        task_id: str | None = None,
        **options: Any,
    ) -> AsyncResult[Any]:
        """Enqueue, and return Celery's result of the job that answers; it reads the record.

        ``ways.py`` lists the *options*. Those that belong to one message (a link, a canvas's) give the caller
        a message of its own; the worker attaches it to an equal job, and Celery's backend has its result.

        Raises:
            OptionInvalid: names the option.
            JobFailed: ``on_duplicate="reject"``, and an equal job is in flight.
            FingerprintMismatch: the key belongs to another payload.
            AnswerUnreadable: the kept answer is in a codec that is not installed here.
            JobError: what ``enqueue`` raises.
        """
        ignored = options.get("ignore_result")
        if isinstance(ignored, bool) and (not self.keeps_results or ignored == self.ignore_result):
            # It changes nothing: a message of its own would only hide the answer.
            del options["ignore_result"]
        try:
            by_way = sort(options)
        except OptionInvalid as refused_option:
            if not is_continuation(options):
                raise
            return self.apply_async(args, kwargs, task_id, **to_be_refused(options, refused_option))
        if by_way.of_one_message:
            return self._send_own_message(args, kwargs, task_id, options)
        if task_id is not None:
            id_of("task_id", task_id)
        row = self.bind_row(args or (), kwargs or {})
        producer = self.askonce.producer_of_one_message(by_way.published)
        outcome = producer.enqueue(self._kept_spec, row, job=task_id, **self._that_count(by_way.recorded))
        result = self._result_of(outcome, row)
        if task_id not in (None, result.id):
            # Also where an answer was there; ``job`` is the producer's word for it.
            result.not_taken = ("task_id", *(name for name in result.not_taken if name != "job"))
        parent = self.app.current_worker_task
        if parent is not None and options.get("add_to_parent", True):
            parent.add_trail(result)
        return result

    def _that_count(self, options: Any) -> Any:
        """Return *options*; eager tasks run at once, as Celery's do, and no reaper starts them later."""
        if not self.app.conf.task_always_eager:
            return options
        return {name: value for name, value in options.items() if name not in ("countdown", "eta")}

    def _send_own_message(
        self, args: Any, kwargs: Any, task_id: str | None, options: Mapping[str, Any]
    ) -> AsyncResult[Any]:
        require_own_message(task_id, options)
        if is_continuation(options):
            options = with_own_names(options)
        else:
            self._require_no_link(options)
            require_sendable(identify(self.job_spec, self.bind_row(args or (), kwargs or {})))
        given = {name: value for name, value in options.items() if is_passed(name, value)}
        if self.app.conf.task_always_eager:
            return super().apply_async(args, kwargs, task_id=task_id, **given)
        result = super().apply_async(args, kwargs, task_id=task_id, **{**NO_REPR, **given})
        if "ignore_result" not in given:
            return result
        kept = self.keeps_results and not given["ignore_result"]
        return super().AsyncResult(result.id) if kept else NotKept(self, result.id)

    def _require_no_link(self, options: Mapping[str, Any]) -> None:
        link = next((name for name in _LINKS if options.get(name)), None)
        if link is not None and not self.takes_links:
            raise OptionInvalid(option=link, reason="the task takes no links: set links=True on it")

    def chunks(self, it: Any, n: int) -> Chunks:
        """Return Celery's canvas of *n* calls a message."""
        return Chunks(cast("Any", self.s()), it, n, app=self.app)

    def apply(self, *arguments: Any, **options: Any) -> Any:
        """Run the task here, as Celery's: through the record, which answers a duplicate."""
        sort({name: value for name, value in options.items() if name not in OF_APPLY})
        return super().apply(*arguments, **with_own_options(options))

    def _result_of(self, outcome: Outcome, row: Mapping[str, object]) -> RecordResult:
        match outcome:
            case Conflict():
                raise FingerprintMismatch(key=outcome.key)
            case Unreadable():
                raise outcome.error
            case Duplicate():
                outcome.result(0)
            case Hit() if self.keeps_results and not self.ignore_result:
                # Celery may have forgotten its result, or never had it: the call was made outside of a task.
                self._keep_result(outcome)
            case _:
                pass
        return RecordResult(self, outcome, row=row)

    def _keep_result(self, hit: Hit) -> None:
        backend: Any = self.backend
        try:
            backend.store_result(hit.job, hit.answer.value, "SUCCESS")
        except Exception as error:  # noqa: BLE001  # whatever a backend raises: the answer is here
            _log.warning("the result backend keeps no result of job=%s (%s)", hit.job, type(error).__name__)

    def result(self, key: str) -> RecordResult:
        """Return the result of this task's job that has *key*, which ``enqueue`` and ``delay`` return.

        For a later request, another process: the answer is as the record keeps it, joined to no row. A key is
        no secret: check first whether its caller may read the answer.
        """
        return RecordResult(self, Handle.from_key(self.askonce.process().store, Key(key), self.name))

    def AsyncResult(self, task_id: str, **options: Any) -> AsyncResult[Any]:  # noqa: N802  # Celery's name
        """Return Celery's result of one message, from the result backend; where it has none, that is said."""
        if not self.keeps_results or self.ignore_result:
            return NotKept(self, task_id)
        return super().AsyncResult(task_id, **options)

    def retry(  # Celery's signature
        self,
        args: Any = None,
        kwargs: Any = None,
        exc: Exception | None = None,
        throw: bool = True,  # noqa: FBT001, FBT002  # Celery's signature
        eta: Any = None,
        countdown: float | None = None,
        max_retries: int | None = None,
        **options: Any,
    ) -> Retry:
        """Fail for now: the record makes the next attempt, after that rest.

        Raises:
            Retry: always, unless *throw* is off.
            Exception: *exc*, or MaxRetriesExceededError: no retry is left.
        """
        run = current_run(self)
        if run is None:
            return super().retry(args, kwargs, exc, throw, eta, countdown, max_retries, **options)
        # The next attempt is of the same job: it has its payload, and goes where its first message went.
        for name, value in {"args": args, "kwargs": kwargs, **options}.items():
            if value is not None:
                raise refused("retry", name)
        when = eta if eta is not None else self.default_retry_delay if countdown is None else countdown
        most = self.max_retries if max_retries is None else max_retries
        run.ask_again(exc or sys.exception(), when, most)
        again = Retry(exc=exc, when=cast("Any", when))
        if throw:
            raise again
        return again

    def replace(self, sig: Any, visitor: Any = None) -> Any:
        """Refuse: the key's answer would be another task's.

        Raises:
            Configuration: always; nothing is sent.
        """
        del sig, visitor
        raise refused("replace")

    def add_to_chord(self, sig: Any, lazy: bool = False) -> Any:  # noqa: FBT001, FBT002  # Celery's signature
        """Refuse: an answer that is served later would add nothing to its chord.

        Raises:
            Configuration: always; nothing is sent.
        """
        del sig, lazy
        raise refused("add_to_chord")

    def __call__(self, /, *args: Any, **kwargs: Any) -> Any:
        """Run the body if this message is the one that should; called directly, just run it."""
        request = self.request
        # A body that calls its own task finds the request of its message.
        if request.called_directly or request.get("runs_body"):
            return self._received.call_directly(args, kwargs)
        return self._received.answer(request, args, kwargs)

    @cached_property
    def _received(self) -> Received:
        return Received(self)

    @property
    def askonce(self) -> AskOnce:
        """The app's AskOnce."""
        return of(self.app)

    @cached_property
    def keeps_results(self) -> bool:
        """Whether the app has a result backend."""
        return not isinstance(self.app.backend, DisabledBackend)

    def bind_row(self, args: Any, kwargs: Mapping[str, object]) -> dict[str, object]:
        """Return the payload of a call, as its caller gave it.

        Raises:
            PayloadInvalid: the call does not fit the body.
        """
        return self._arguments.bind(args, kwargs, whole=self.job_spec.input is None)

    @cached_property
    def _arguments(self) -> Arguments:
        return Arguments(self.run)
