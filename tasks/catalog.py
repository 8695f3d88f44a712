"""Every kind of work in one table: who asks and who works read the same terms."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from askonce.spec import JobSpec, RetryPolicy
from tasks.meetings.prompts import task_version
from tasks.payloads import CustomerPayload, MeetingPayload, OrderPayload, accepts

if TYPE_CHECKING:
    from settings.environment import Settings
    from tasks.meetings.prompts import Operation

ORDERS_ENRICH = "orders.enrich"
CUSTOMERS_LOOKUP = "customers.lookup"
MEETINGS_EXTRACT = "meetings.extract"
MEETINGS_ANALYZE = "meetings.analyze"
MEETINGS_FULL = "meetings.full"

MEETING_KEY = ("meeting_id", "meet_date", "customer_id")
OPERATIONS: dict[str, Operation] = {
    MEETINGS_EXTRACT: "extract",
    MEETINGS_ANALYZE: "analyze",
    MEETINGS_FULL: "full",
}

CUSTOMER_FRESH = 300.0
#: The last known customer is better than none for this long.
CUSTOMER_KEPT = 7 * 86_400.0


def catalog(settings: Settings) -> dict[str, JobSpec]:
    """Return each task's terms under *settings*; names are what producers, queues and monitors show."""
    specs = [_orders(), _customers(settings), *(_meeting(name, settings) for name in OPERATIONS)]
    lease, queue_deadline = settings.job_lease, settings.job_queue_deadline
    return {spec.name: replace(spec, lease=lease, queue_deadline=queue_deadline) for spec in specs}


def _orders() -> JobSpec:
    return JobSpec(
        name=ORDERS_ENRICH,
        key_fields=("order_id",),
        soft_ttl=CUSTOMER_FRESH,
        hard_ttl=86_400.0,
        retry=RetryPolicy(base=1.0, cap=60.0),
        validate=accepts(OrderPayload),
    )


def _customers(settings: Settings) -> JobSpec:
    return JobSpec(
        name=CUSTOMERS_LOOKUP,
        key_fields=("cliente_id",),
        soft_ttl=CUSTOMER_FRESH,
        hard_ttl=CUSTOMER_KEPT,
        # A look-up has a fallback, so a sick service is given a rest instead of a person's attention.
        retry=RetryPolicy(base=0.2, cap=30.0, on_give_up="backoff"),
        # A look-up is cheap, and the customer is the same whoever asks.
        on_store_down="local" if settings.cache_fallback_enabled else "defer",
        validate=accepts(CustomerPayload),
    )


def _meeting(name: str, settings: Settings) -> JobSpec:
    fresh = settings.cache_ttl_hours * 3600
    return JobSpec(
        name=name,
        version=task_version(settings.openai_model, OPERATIONS[name]),
        key_fields=MEETING_KEY,
        soft_ttl=fresh,
        hard_ttl=7 * fresh,
        validate=accepts(MeetingPayload),
    )
