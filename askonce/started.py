"""A run whose lease was granted: what its end needs to know."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, NamedTuple

from askonce import bill
from askonce.attempt import costs_of
from askonce.tally import book_of

if TYPE_CHECKING:
    from askonce.attempt import Attempt
    from askonce.errors import Postponed
    from askonce.execution import Delivery
    from askonce.job import Job
    from askonce.spend import Costs, Spend
    from askonce.store import Failing, Lease


class Started(NamedTuple):
    """A run whose lease was granted, and the clock's time when its call began."""

    delivery: Delivery
    lease: Lease
    attempt: Attempt
    began: float
    #: For how long the job had been parked by then; None where it was not.
    parked: float | None
    #: Seconds from the job's admission to this start; None where that is unknown.
    waited: float | None

    @property
    def job(self) -> Job:
        """The job that runs."""
        return self.delivery.job

    def parked_until(self, now: float) -> float:
        """Return the seconds for which it has been parked."""
        return 0.0 if self.parked is None else self.parked + now - self.began

    def ran_until(self, now: float) -> dict[str, object]:
        """Return what events say of this run."""
        return {"attempt": self.attempt.number, "run_seconds": now - self.began}

    def ended_at(self, now: float) -> dict[str, object]:
        """Return what the end of the job says of this run."""
        ran = {"wait_seconds": self.waited, "run_seconds": now - self.began}
        return {"age_seconds": 0.0, **ran, "attempts": self.attempt.number, **self.requests}

    @property
    def requests(self) -> dict[str, object]:
        """What the services call the requests of this run."""
        return {"request_ids": self.attempt.requests}

    def cost_until(self, why: Postponed) -> Spend:
        """Return what the job cost: the body may have come to fewer of its parts than an attempt before."""
        found, before = costs_of(why, self.attempt).made, self.attempt.spent
        return found if found.calls > before.calls else before

    def given_back(self, cost: Spend) -> bytes:
        """Return what the record keeps of *cost*, where this attempt is none; empty if that is there."""
        if cost is self.attempt.spent:
            return b""
        return bill.encode(self.job.id, self.attempt.number - 1, cost)

    def booked(self, failure: Failing, cost: Costs) -> Failing:
        """Return *failure* with what this attempt paid, and with what all of them cost."""
        spent = bill.encode(self.job.id, self.attempt.number, cost.made)
        return replace(failure, book=book_of(self.job, cost.paid), spent=spent)
