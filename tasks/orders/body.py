"""Adds the customer's name to an order: known, last known, or marked as unknown."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from askonce.answer import Answer

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tasks.resources import Resources

UNKNOWN = "Desconhecido"


def enrich(payload: Mapping[str, object], resources: Resources) -> Answer:
    """Add the customer to the order; the body of ``orders.enrich``.

    A fallback is marked in the answer and in its source, so that the record never keeps it as fresh.
    """
    order = dict(payload)
    found = resources.customers.get(cast("str | int", payload["cliente_id"]))
    if found is None:
        return Answer(value={**order, "cliente_nome": UNKNOWN, "cliente_fonte": "default"}, source="default")
    customer = cast("dict[str, object]", found.value)
    enriched = {**order, "cliente_nome": customer.get("cliente_nome", UNKNOWN), "cliente": customer}
    if found.source == "stale":
        return Answer(value={**enriched, "cliente_fonte": "stale"}, source="stale")
    return Answer(value={**enriched, "cliente_fonte": "api"})
