"""Finds the customer of an order: known, last known, or marked as unknown."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from askonce.answer import Answer
from askonce.spend import NOTHING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tasks.resources import Resources

UNKNOWN = "Desconhecido"


def enrich(payload: Mapping[str, object], resources: Resources) -> Answer:
    """Return the order's customer, without the order; the body of ``orders.enrich``.

    Equal orders share this answer, and each caller's own row is joined to it. A fallback is marked in the
    answer and in its source, so that the record never keeps it as fresh. The look-up of the customer is a job
    of its own, and counts what it paid.
    """
    found = resources.customers.get(cast("str", payload["cliente_id"]))
    if found is None:
        return Answer(
            value={"cliente_nome": UNKNOWN, "cliente_fonte": "default"}, source="default", paid=NOTHING
        )
    customer = cast("dict[str, object]", found.value)
    known = {"cliente_nome": customer.get("cliente_nome", UNKNOWN), "cliente": customer}
    if found.source == "stale":
        return Answer(value={**known, "cliente_fonte": "stale"}, source="stale", paid=NOTHING)
    return Answer(value={**known, "cliente_fonte": "api"}, paid=NOTHING)
