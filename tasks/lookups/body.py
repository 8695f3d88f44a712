"""Looks customers up once each, however many orders ask: a keyed, cached call of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

from askonce.errors import Configuration, JobFailed, ResultTimeout, StoreUnavailable, Transient
from askonce.key import identify

if TYPE_CHECKING:
    from collections.abc import Mapping

    from askonce.inline import Caller
    from askonce.record import Result
    from askonce.spec import JobSpec
    from tasks.providers.http import HttpLookup

#: Seconds that an order waits for somebody else's look-up of the same customer.
PATIENCE = 30.0


def lookup(payload: Mapping[str, object], http: HttpLookup) -> dict[str, object]:
    """Make the external call; the body of ``customers.lookup``."""
    return http.fetch("customers", str(payload["cliente_id"]))


class Customers:
    """The customers as orders see them."""

    def __init__(self, caller: Caller, http: HttpLookup, spec: JobSpec) -> None:
        """Look up through *caller*, on the terms of *spec*."""
        self._caller, self._http, self._spec = caller, http, spec

    def get(self, cliente_id: str | int) -> Result | None:
        """Return the customer, fresh or last known; None when there is neither.

        Raises:
            Configuration: the service refuses us; an operator must know, so there is no fallback.
            Transient: the store did not answer, so nobody knows whether the call was made.
        """
        # 7 and "7" are one customer to the service: its path has no types.
        payload = {"cliente_id": str(cliente_id)}
        identity = identify(self._spec, payload)
        try:
            return self._caller.call(
                self._spec, identity, lambda: lookup(payload, self._http), timeout=PATIENCE
            )
        except JobFailed as failed:
            if failed.kind == "configuration":
                raise Configuration(failed.reason) from None
            return None
        except ResultTimeout:
            return None
        except StoreUnavailable:
            raise Transient("store_unavailable") from None
