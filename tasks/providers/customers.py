"""Looks each customer up once, for any number of orders: a keyed, cached call of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING

from askonce.errors import (
    AnswerUnreadable,
    Configuration,
    JobFailed,
    LayoutNewer,
    RecordDamaged,
    ResultTimeout,
    StoreUnavailable,
    Transient,
)
from askonce.inline import Resting
from askonce.key import identify

if TYPE_CHECKING:
    from askonce.answer import Result
    from askonce.inline import Caller
    from askonce.spec import JobSpec
    from tasks.providers.http import HttpLookup

#: Seconds that an order waits for another worker's look-up of the same customer.
PATIENCE = 30.0
#: Seconds between two attempts of one look-up. A service that asks for more is not waited for: an order has
#: something in place of its customer.
_LONGEST_REST = 1.0


class Customers:
    """The customers of the customer service."""

    def __init__(self, caller: Caller, http: HttpLookup, spec: JobSpec) -> None:
        """Call the service with *http*; make the keyed calls with *caller* on the terms of *spec*."""
        self._caller, self._http, self._spec = caller, http, spec

    def fetch(self, cliente_id: str) -> dict[str, object]:
        """Return the customer from the service; always makes the external call.

        Raises:
            CallFailed: the service did not answer, or refused.
        """
        return self._http.fetch("customers", cliente_id)

    def get(self, cliente_id: str | int) -> Result | None:
        """Return the customer, fresh or last known, or None when there is neither.

        Raises:
            Configuration: the service refuses our credentials. An operator must know, so nothing replaces it.
            Transient: the store did not answer, so it is unknown whether the call was made.
        """
        # 7 and "7" are one customer to the service: its path has no types.
        name = str(cliente_id)
        identity = identify(self._spec, {"cliente_id": name})
        try:
            return self._caller.call(
                self._spec,
                identity,
                lambda: self.fetch(name),
                timeout=PATIENCE,
                longest_rest=_LONGEST_REST,
            )
        except JobFailed as failed:
            if failed.kind == "configuration":
                raise Configuration(failed.reason) from None
            return None
        except (ResultTimeout, Resting, RecordDamaged, LayoutNewer, AnswerUnreadable):
            return None
        except StoreUnavailable:
            raise Transient("store_unavailable") from None
