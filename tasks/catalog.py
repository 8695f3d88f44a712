"""Every task in one table: its name, what it accepts, its terms, and where its body is.

To add a task, write its body and its row here. A body is named by a string and imported by workers only:
producers read this table too, and must not load the clients of the services.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Annotated, Final

from askonce.spec import JobSpec, RetryPolicy
from tasks.calls import Calls
from tasks.meetings.calls import meeting_calls, part_calls
from tasks.meetings.prompts import QuestionKind, task_version
from tasks.payloads import SHOWN, Id, Lines, Payload, Text, When, add_to_row, input_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from settings.environment import Settings
    from tasks.meetings.prompts import Operation

CUSTOMERS_LOOKUP: Final = "customers.lookup"
ORDERS_ENRICH: Final = "orders.enrich"
MEETINGS_PART: Final = "meetings.part"

#: Seconds for which a customer is fresh.
_CUSTOMER_FRESH = 300.0
#: Seconds for which the last known customer is better than none.
_CUSTOMER_KEPT = 7 * 86_400.0
#: Bytes of one part: the summaries of many parts together may be longer than a transcript.
_MOST_PART_BYTES = 16 << 20


@dataclass(frozen=True, slots=True)
class Task:
    """One row of the table."""

    #: What producers, queues and monitors show.
    name: str
    #: ``module:function``; the function takes a payload and the Resources of its process.
    body: str
    #: Returns the terms of the task; ``catalog`` sets the name and the two deadlines.
    terms: Callable[[Settings], JobSpec]
    #: Returns what a payload's job asks of its service, under the terms of all tasks.
    calls: Callable[[Mapping[str, object], Mapping[str, JobSpec], Settings], Calls]


class OrderPayload(Payload):
    """What ``orders.enrich`` uses of a row."""

    order_id: Annotated[Id, SHOWN]
    cliente_id: Annotated[Id, SHOWN]


class CustomerPayload(Payload):
    """What ``customers.lookup`` uses of a row."""

    cliente_id: Annotated[Id, SHOWN]


class MeetingPayload(Payload):
    """What ``meetings.*`` use of a row; date and customer are part of the key where the row has them."""

    meeting_id: Annotated[Id, SHOWN]
    transcript: Lines
    meet_date: When | None = None
    customer_id: Annotated[Id | None, SHOWN] = None


class PartPayload(Payload):
    """One question about one text: all that ``meetings.part`` uses."""

    operation: QuestionKind
    text: Text


def _orders(_settings: Settings) -> JobSpec:
    return JobSpec(
        key_fields=("order_id",),
        soft_ttl=_CUSTOMER_FRESH,
        hard_ttl=86_400.0,
        retry=RetryPolicy(base=1.0, cap=60.0),
        input=input_of(OrderPayload),
        shown=OrderPayload.shown(),
        # Each order is answered at once, with what is known: no refusal makes it wait.
        park_for=0.0,
        # The record keeps the customer. Each caller gets it in its own row, whatever else that has.
        present=add_to_row,
    )


def _customers(settings: Settings) -> JobSpec:
    return JobSpec(
        key_fields=("cliente_id",),
        soft_ttl=_CUSTOMER_FRESH,
        hard_ttl=_CUSTOMER_KEPT,
        # A look-up has a fallback, so a failing service is left alone for a time and no person must act.
        retry=RetryPolicy(base=0.2, cap=30.0, on_give_up="backoff"),
        park_for=0.0,
        # A look-up is cheap, and every caller gets the same customer.
        on_store_down="local" if settings.cache_fallback_enabled else "defer",
        input=input_of(CustomerPayload),
        shown=CustomerPayload.shown(),
    )


def _meeting(operation: Operation, settings: Settings) -> JobSpec:
    fresh = settings.cache_ttl_hours * 3600
    return JobSpec(
        version=task_version(settings.openai_model, operation),
        model=settings.openai_model,
        key_fields=("meeting_id", "meet_date", "customer_id"),
        soft_ttl=fresh,
        hard_ttl=7 * fresh,
        input=input_of(MeetingPayload),
        shown=MeetingPayload.shown(),
    )


def _part(settings: Settings) -> JobSpec:
    fresh = settings.cache_ttl_hours * 3600
    return JobSpec(
        # The model and all prompts: a worker of another version leaves the message to one of this version.
        version=task_version(settings.openai_model),
        model=settings.openai_model,
        soft_ttl=fresh,
        # A part that is too old is read anew.
        hard_ttl=fresh,
        # Its meeting is quarantined in its place, and a replay of the meeting asks again.
        retry=RetryPolicy(on_give_up="backoff"),
        max_payload_bytes=_MOST_PART_BYTES,
        input=input_of(PartPayload),
    )


def _order_calls(_row: Mapping[str, object], specs: Mapping[str, JobSpec], _settings: Settings) -> Calls:
    # Each attempt at an order may begin a look-up anew, where the last one was given up.
    attempts = specs[ORDERS_ENRICH].retry.max_attempts * specs[CUSTOMERS_LOOKUP].retry.max_attempts
    return Calls(questions=(0,), attempts=attempts, own=False)


def _customer_calls(_row: Mapping[str, object], specs: Mapping[str, JobSpec], _settings: Settings) -> Calls:
    return Calls(questions=(0,), attempts=specs[CUSTOMERS_LOOKUP].retry.max_attempts)


def _meeting_calls(
    operation: Operation, row: Mapping[str, object], specs: Mapping[str, JobSpec], settings: Settings
) -> Calls:
    return meeting_calls(
        operation,
        row,
        max_chars=settings.llm_max_input_chars,
        attempts=specs[f"meetings.{operation}"].retry.max_attempts,
        part_attempts=specs[MEETINGS_PART].retry.max_attempts,
    )


def _part_calls(row: Mapping[str, object], specs: Mapping[str, JobSpec], _settings: Settings) -> Calls:
    return part_calls(row, attempts=specs[MEETINGS_PART].retry.max_attempts)


def _of_meetings(operation: Operation) -> Task:
    return Task(
        f"meetings.{operation}",
        f"tasks.meetings.body:{operation}",
        partial(_meeting, operation),
        partial(_meeting_calls, operation),
    )


TASKS: Final = (
    Task(ORDERS_ENRICH, "tasks.orders.body:enrich", _orders, _order_calls),
    Task(CUSTOMERS_LOOKUP, "tasks.lookups.body:lookup", _customers, _customer_calls),
    _of_meetings("extract"),
    _of_meetings("analyze"),
    _of_meetings("full"),
    Task(MEETINGS_PART, "tasks.meetings.questions:part", _part, _part_calls),
)


def catalog(settings: Settings) -> dict[str, JobSpec]:
    """Return the terms of each task under *settings*, by its name."""
    lease, queue_deadline = settings.job_lease, settings.job_queue_deadline
    return {
        task.name: replace(task.terms(settings), name=task.name, lease=lease, queue_deadline=queue_deadline)
        for task in TASKS
    }


def calls_of(task: str, settings: Settings) -> Callable[[Mapping[str, object]], Calls]:
    """Return the function that returns what a job of *task* asks of its service, by the job's payload."""
    found, specs = {each.name: each for each in TASKS}[task], catalog(settings)
    return lambda payload: found.calls(payload, specs, settings)
