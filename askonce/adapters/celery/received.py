"""Answers messages of one task in the worker that got them.

A message that askonce sent carries its key, and runs only if its job is the one admitted. A message that
something else sent (a canvas, a scheduler, a foreign app) admits its job first. Where a caller may wait for
the message's own task id, the call is made inline, so that this id gets its result.
"""

from __future__ import annotations

import random
import time
from contextlib import contextmanager
from dataclasses import replace
from functools import cached_property
from math import inf
from typing import TYPE_CHECKING, Any, Literal, cast

import orjson
from celery import Task
from celery._state import _task_stack  # type: ignore[attr-defined]  # not in the stubs
from celery.exceptions import Ignore, Reject, Retry

from askonce.adapters.celery.control_flow import is_in_a_body_of, run_body
from askonce.adapters.celery.header import (
    HEADER,
    NO_REPR,
    OWN,
    asked_before,
    chosen,
    is_identity,
    is_of_one_request,
)
from askonce.adapters.celery.letters import keep_letter
from askonce.adapters.celery.one_message import BY_ITEM
from askonce.adapters.celery.routing_key import routing_key_of
from askonce.adapters.celery.verdict import verdict
from askonce.canonical import to_json
from askonce.errors import FingerprintMismatch, JobFailed, OptionInvalid, PayloadInvalid, StoreUnavailable
from askonce.events import EventType, Subject, emit
from askonce.execution import Delivery
from askonce.inline import Resting
from askonce.job import JobId, Routing, new_job_id
from askonce.key import identify
from askonce.options import HEADERS_MAX, terms_of
from askonce.retry import rest
from askonce.spec import SHORTEST, RetryPolicy

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from celery.app.task import Context

    from askonce.claim import Terms
    from askonce.job import Job
    from askonce.options import Options
    from askonce.spec import JobSpec

#: Seconds that a job may rest in the slot of a message that is waited for; for longer, the message goes back.
LONGEST_REST_IN_A_SLOT = 5.0
#: How long a message rests before it is delivered again when the store did not answer.
_STORE_DOWN = RetryPolicy(base=5.0, cap=60.0)
#: A message of another version is sent again so often, each time after so many seconds.
_OTHER_VERSION_TRIES, _OTHER_VERSION_REST = 3, 5.0


class Received:
    """The messages of one task."""

    def __init__(self, task: Any) -> None:
        """Answer for *task*, an IdempotentTask."""
        self._task = task

    def answer(self, request: Context, args: Any, kwargs: Any) -> object:
        """Run the body if this message is the one that should."""
        header = (request.headers or {}).get(HEADER)
        try:
            with self._put_back_if_it_cannot_run_now(request, self._task):
                return self._answer(request, header, args, kwargs)
        except JobFailed as failed:
            # A monitor shows the error: its last words are what a person can do.
            cure = self._task.askonce.cure_of(failed.reason, kind=failed.kind, key=failed.key)
            raise (JobFailed(failed.data, cure=cure) if cure else failed) from None

    def call_directly(self, args: Any, kwargs: Any) -> object:
        """Just run the body; through the record where ``chunks``, ``map`` and ``starmap`` call.

        The body gets what a message would bring: the fields of its input, in their JSON form.
        """
        caller, row = self._task.app.current_worker_task, self._task.bind_row(args, kwargs)
        if caller is None or caller.name not in BY_ITEM or is_in_a_body_of(caller):
            return self._just_run(orjson.loads(self._identify(row, {}, new_job_id()).payload))
        options = _chosen(caller.request, (caller.request.headers or {}).get(HEADER))
        job = self._identify(row, options, new_job_id())
        job = job._replace(routing=_came_by(self._task, caller.request))
        # The items that have their answers are hits when the message comes again.
        with self._put_back_if_it_cannot_run_now(caller.request, caller):
            return self._call_inline(job, row, options, eager=caller.request.is_eager)

    @contextmanager
    def _put_back_if_it_cannot_run_now(self, request: Context, of: Any) -> Iterator[None]:
        """Send the message of *request*, of the task *of*, again for later if its job has to rest."""
        try:
            yield
        except StoreUnavailable as exc:
            if request.is_eager or self._task.job_spec.on_store_down == "fail":
                raise
            raise self._put_back(request, exc, of=of) from None
        except Resting as resting:
            raise self._put_back(request, resting, resting.after, of=of) from None

    def _just_run(self, fields: dict[str, Any]) -> object:
        """Do what a direct call of Celery's does; a field may have any name."""
        task = self._task
        _task_stack.push(task)
        task.push_request(args=(), kwargs=fields)
        try:
            return task.run(**fields)
        finally:
            task.pop_request()
            _task_stack.pop()

    def _answer(self, request: Context, header: object, args: Any, kwargs: Any) -> object:
        try:
            if not is_identity(header):
                drawn = is_of_one_request(header)
                return self._admit_and_run(request, _chosen(request, header), args, kwargs, drawn=drawn)
            version = header["version"]
            if version != self._task.job_spec.version:
                raise self._pass_on(request, header, version)
            job = self._job_of(request, header, kwargs)
        except PayloadInvalid as exc:
            self._refuse("invalid_payload", request, (args, kwargs), exc.field, exc.reason)
            raise
        except OptionInvalid as exc:
            self._refuse("invalid_option", request, (args, kwargs), exc.option, exc.reason)
            raise
        if args or (job.key, job.fingerprint) != (header["key"], header["fingerprint"]):
            # This header names a record that is not this payload's, wherever it came from.
            self._keep("identity_mismatch", request, args, kwargs)
            raise FingerprintMismatch(key=job.key)
        if self._is_waited_for(request):
            # Callers with different rows share this message's id.
            job = job.under(JobId(str(request.id)))
            return self._call_inline(job, None, admitted=True, eager=request.is_eager)
        delivery = Delivery(spec=self._task.job_spec, job=job, returns=self._returns(request))
        once = self._task.askonce
        return verdict(once.process().runner.run(delivery, self._body(job)), once.cure_of)

    def _admit_and_run(
        self, request: Context, options: Options, args: Any, kwargs: Any, *, drawn: bool
    ) -> object:
        if misplaced := OWN & (request.properties or {}).keys():
            # A foreign app passed it to Celery, which knows no place for it; on AMQP it is dropped before.
            reason = f"belongs into headers.{HEADER}"
            raise OptionInvalid(option=f"properties.{min(misplaced)}", reason=reason)
        row = self._task.bind_row(args, kwargs)
        job = self._identify(row, options, str(request.id))
        job = job._replace(routing=_came_by(self._task, request))
        if self._is_waited_for(request):
            return self._call_inline(job, row, options, admitted=drawn, eager=request.is_eager)
        terms, returns = self._terms(options, job), self._returns(request)
        delivery = Delivery(spec=self._task.job_spec, job=job, terms=terms, returns=returns, drawn=drawn)
        once = self._task.askonce
        return verdict(once.process().runner.admit_and_run(delivery, self._body(job)), once.cure_of)

    def _identify(self, row: Mapping[str, object], options: Options, job_id: str) -> Job:
        tenant, run = options.get("tenant", ""), options.get("run", "")
        return identify(self._task.job_spec, row, tenant, job_id, run=run)

    def _terms(self, options: Options, job: Job) -> Terms:
        """Return the terms of a message that askonce did not send; *job* says how it travelled."""
        more_urgent: Literal["<", ">"] = self._task.askonce.sender.more_urgent if options else ">"
        terms = terms_of(self._task.job_spec, options, more_urgent, time.time())
        limits = job.routing.time_limit, job.routing.soft_time_limit
        # It has come through its queue already. Only its call could still have these.
        chosen = {"headers": job.routing.headers != "", "limits": limits != (None, None)}
        return terms._replace(chosen=tuple(name for name, is_chosen in chosen.items() if is_chosen))

    def _job_of(self, request: Context, header: dict[str, Any], kwargs: Any) -> Job:
        """Return the admitted job whose identity is in *header*."""
        job_id = header.get("job", str(request.id))
        job = identify(self._task.job_spec, kwargs, header["tenant"], job_id)
        routing = _came_by(self._task, request)
        return job._replace(routing=routing, run=header["run"], admitted_at=header["admitted_at"])

    def _pass_on(self, request: Context, header: dict[str, Any], version: str) -> Exception:
        """Leave a job of another version to a worker that has that version; the record keeps the job."""
        if request.retries < _OTHER_VERSION_TRIES:
            return self._put_back(request, Ignore("another version of the task"), _OTHER_VERSION_REST)
        about = Subject(task=self._task.name, key=header["key"], id=str(request.id))
        emit(self._task.askonce.listen, EventType.MESSAGE_OTHER_VERSION, about, version=version)
        return Ignore("another version of the task")

    def _refuse(
        self, why: str, request: Context, arguments: tuple[Any, Any], field: str, reason: str
    ) -> None:
        about = Subject(task=self._task.name, id=str(request.id))
        emit(self._task.askonce.listen, EventType.JOB_INVALID, about, field=field, reason=reason)
        if not request.is_eager:  # its caller gets the error, and there is no message
            self._keep(why, request, *arguments)

    def _keep(self, reason: str, request: Context, args: Any, kwargs: Any) -> None:
        """Keep a message that cannot be run, without the header that named its job."""
        header = (request.headers or {}).get(HEADER)
        own = None if is_identity(header) else header
        named = {"task": self._task.name, "job": str(request.id)}
        try:
            keep_letter(self._task.app, reason, **named, arguments=(args, kwargs), header=own)
        except StoreUnavailable as exc:
            raise self._put_back(request, exc) from None

    def _put_back(
        self, request: Context, why: Exception, countdown: float | None = None, of: Any = None
    ) -> Exception:
        """Send the message again for later, without a limit: nothing was run; *of* is its task."""
        task = of or self._task
        if countdown is None:
            # Celery refuses less than a second where RabbitMQ delays messages.
            countdown = max(1.0, rest(_STORE_DOWN, min(10, request.retries + 1), random.uniform))
        delayed = (request.delivery_info or {}).get("routing_key")
        queue = routing_key_of(request.delivery_info)
        again = task.signature_from_request(
            request,
            # What RabbitMQ's delay put before the key would be taken for another delay.
            queue=queue if queue != delayed else None,
            countdown=countdown,
            retries=request.retries + 1,
        )
        # What monitors show of the message that came.
        shown = {**NO_REPR, "kwargsrepr": getattr(request, "kwargsrepr", None) or NO_REPR["kwargsrepr"]}
        try:
            # Not by the task's own way, which would admit a job.
            Task.apply_async(task, again.args, again.kwargs, **{**shown, **again.options})
        except Exception:  # noqa: BLE001  # whatever the broker's client raises
            # The broker is down too. Celery would drop the message; requeued, it is there when both return.
            return Reject("the broker is down", requeue=True)
        return Retry(exc=why, when=cast("Any", countdown))

    def _call_inline(
        self,
        job: Job,
        row: Mapping[str, object] | None,
        options: Options | None = None,
        *,
        admitted: bool = False,
        eager: bool = False,
    ) -> object:
        """Answer a message whose own task id a caller waits for, with its *row* if it has one."""
        caller, task = self._task.askonce.process().caller, self._task
        how: dict[str, Any] = {"timeout": task.attach_timeout, "row": row, "admitted": admitted}
        how |= {
            "terms": self._terms(options or {}, job),
            "longest_rest": inf if eager else LONGEST_REST_IN_A_SLOT,
        }
        return caller.call(self._eager_spec if eager else task.job_spec, job, self._body(job), **how).value

    @cached_property
    def _eager_spec(self) -> JobSpec:
        """Return the spec of calls that their caller waits for in its own thread: attempts without a rest."""
        spec: JobSpec = self._task.job_spec
        return replace(spec, retry=replace(spec.retry, base=SHORTEST, cap=SHORTEST))

    def _body(self, job: Job) -> Callable[[], object]:
        return lambda: run_body(self._task, orjson.loads(job.payload))

    def _returns(self, request: Context) -> bool:
        """Return whether the message of *request* can go back to its queue: it is not acknowledged yet."""
        return bool(self._task.acks_late) and not request.is_eager

    def _is_waited_for(self, request: Context) -> bool:
        if request.is_eager:
            return True
        if request.callbacks or request.errbacks or request.chain or request.chord or request.group:
            return True
        ignored = self._task.ignore_result if request.ignore_result is None else request.ignore_result
        return not ignored and self._task.keeps_results


def _chosen(request: Context, header: object) -> Options:
    """Return the options of a message that askonce did not send.

    What an earlier delivery of it has paid for is new enough.
    """
    options, ago = chosen(header), asked_before(header)
    if ago is None or not (request.delivery_info or {}).get("redelivered"):
        return options
    if options.pop("force", False) or "max_age" in options:
        options["max_age"] = max(ago, options.get("max_age") or 0.0)
    return options


def _came_by(task: Any, request: Context) -> Routing:
    """Return how the message travelled: a job that it admits goes the same way."""
    priority = (request.delivery_info or {}).get("priority")
    queue = routing_key_of(request.delivery_info)
    hard, soft = request.timelimit or (None, None)
    return Routing(
        queue=queue if queue.isprintable() else "",
        priority=priority or None,
        time_limit=None if hard == task.time_limit else hard,
        soft_time_limit=None if soft == task.soft_time_limit else soft,
        headers=_headers_of(request),
    )


def _headers_of(request: Context) -> str:
    """Return the sender's own headers; an empty text where the record cannot keep them."""
    own = {name: value for name, value in (request.headers or {}).items() if name != HEADER}
    if not own:
        return ""
    try:
        text = to_json(own, canonical=True)
    except PayloadInvalid:
        return ""
    return text.decode() if len(text) <= HEADERS_MAX else ""
