"""Looks each customer up once, for any number of orders: a keyed, cached call of its own."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from askonce.errors import (
    AnswerUnreadable,
    CallFailed,
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
from askonce.spend import NOTHING, Spend, spend_of_failure, total
from tasks.providers.failures import as_whole

if TYPE_CHECKING:
    from collections.abc import Callable

    from askonce.answer import Result
    from askonce.inline import Caller
    from askonce.spec import JobSpec
    from tasks.providers.http import HttpLookup

#: Seconds that an order waits for another worker's look-up of the same customer.
PATIENCE = 30.0
#: Seconds between two attempts of one look-up. A service that asks for more is not waited for: an order has
#: something in place of its customer.
_LONGEST_REST = 1.0


class Found(NamedTuple):
    """A customer, fresh or last known, or None where there is neither; and what it cost to look."""

    customer: Result | None
    #: What the calls of this look-up cost. One that another caller made costs nothing here.
    paid: Spend
    #: Why there is no fresh customer, in one word.
    reason: str = ""


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

    def get(self, cliente_id: str | int, tenant: str = "", earlier: Spend = NOTHING) -> Found:
        """Return the customer, and what the caller's job paid: *earlier*, and for this look-up.

        *tenant* is the caller's: another one's look-up of the same customer is another job.

        Raises:
            Configuration: the service refuses our credentials. An operator must know, so nothing replaces it.
            Transient: the store did not answer, so it is unknown whether the call was made.
        """
        paid = list[Spend]()
        try:
            customer, reason = self._look_up(str(cliente_id), tenant, paid)
        except (Configuration, Transient) as failed:
            # The look-up is a job of its own, and counts what it paid.
            whole = total([earlier, *paid])
            raise as_whole(failed, whole, paid=NOTHING) from None
        return Found(customer, total([earlier, *paid]), reason)

    def _look_up(self, name: str, tenant: str, paid: list[Spend]) -> tuple[Result | None, str]:
        """Return the customer, and why there is no fresh one."""
        # 7 and "7" are one customer to the service: its path has no types.
        identity, body = identify(self._spec, {"cliente_id": name}, tenant), self._counted(name, paid)
        try:
            found = self._caller.call(
                self._spec, identity, body, timeout=PATIENCE, longest_rest=_LONGEST_REST
            )
        except JobFailed as failed:
            if failed.kind == "configuration":
                raise Configuration(failed.reason) from None
            return None, failed.reason
        except ResultTimeout:
            return None, "result_timeout"
        except Resting:
            return None, "backoff"
        except (RecordDamaged, LayoutNewer, AnswerUnreadable):
            return None, "unreadable"
        except StoreUnavailable:
            raise Transient("store_unavailable") from None
        return found, found.reason

    def _counted(self, name: str, paid: list[Spend]) -> Callable[[], dict[str, object]]:
        """Return the call for the customer *name*, which adds what it cost to *paid*."""

        def fetch() -> dict[str, object]:
            try:
                customer = self.fetch(name)
            except CallFailed as failed:
                paid.append(spend_of_failure(failed).spend)
                raise
            paid.append(Spend())
            return customer

        return fetch
