"""Finds the customer of an order: known, last known, or marked as unknown."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from askonce.answer import Answer
from askonce.attempt import current_attempt
from askonce.spend import NOTHING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from askonce.answer import Result, Source
    from tasks.resources import Resources

UNKNOWN = "Desconhecido"


def enrich(payload: Mapping[str, object], resources: Resources) -> Answer:
    """Return the order's customer, without the order; the body of ``orders.enrich``.

    Equal orders share this answer, and each caller's own row is joined to it. A fallback is marked in the
    answer and in its source, so that the record never keeps it as fresh. The look-up of the customer is a job
    of its own, and counts what it paid: this order caused that only where its own attempt called.
    """
    attempt = current_attempt()
    name = cast("str", payload["cliente_id"])
    found, whole, reason = resources.customers.get(name, attempt.tenant, attempt.spent)
    value, source = _enriched(found)
    # It costs at least its customer's look-up, whoever paid for that: what that cost is unknown.
    calls = max(1, whole.calls)
    return Answer(value=value, source=source, reason=reason, calls=calls, paid=NOTHING, caused=whole)


def _enriched(found: Result | None) -> tuple[dict[str, object], Source]:
    """Return the answer for an order whose customer is *found*, and its source."""
    if found is None:
        return {"cliente_nome": UNKNOWN, "cliente_fonte": "default"}, "default"
    customer = cast("dict[str, object]", found.value)
    known = {"cliente_nome": customer.get("cliente_nome", UNKNOWN), "cliente": customer}
    if found.source == "stale":
        return {**known, "cliente_fonte": "stale"}, "stale"
    return {**known, "cliente_fonte": "api"}, "call"
