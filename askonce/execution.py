"""What a worker is given, and every end that one delivery can have."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Self

from askonce.errors import JobFailed
from askonce.store import Claim

if TYPE_CHECKING:
    from collections.abc import Callable

    from askonce.key import Identity
    from askonce.record import Result
    from askonce.spec import JobSpec
    from askonce.store import Start, Write


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """One message as it reached a worker."""

    spec: JobSpec
    key: str
    job: str
    fingerprint: str
    #: The canonical payload; asked for only when the record is gone.
    payload: Callable[[], bytes]
    tenant: str = ""

    @classmethod
    def of(cls, spec: JobSpec, identity: Identity, job: str) -> Self:
        """Deliver *job* for a payload that was identified here."""
        return cls(
            spec=spec,
            key=identity.key,
            job=job,
            fingerprint=identity.fingerprint,
            payload=lambda: identity.payload,
            tenant=identity.tenant,
        )

    def to_claim(self) -> Claim:
        """Return what admits this job."""
        return Claim.of(self.spec, self.key, self.job, self.fingerprint, self.payload(), self.tenant)


@dataclass(frozen=True, slots=True, kw_only=True)
class Executed:
    """The end of one delivery, and the answer where there is one."""

    key: str
    job: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Computed(Executed):
    """The call was made; *stored* says what became of its answer."""

    result: Result
    stored: Write


@dataclass(frozen=True, slots=True, kw_only=True)
class Reused(Executed):
    """The answer had been made already."""

    result: Result


@dataclass(frozen=True, slots=True, kw_only=True)
class Skipped(Executed):
    """There was nothing to do for this message: somebody else has the job, or nobody wants it."""

    outcome: Start


@dataclass(frozen=True, slots=True, kw_only=True)
class Deferred(Executed):
    """The call failed and will be tried again in *after* seconds."""

    reason: str
    after: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Failed(Executed):
    """The job ended without an answer."""

    kind: str
    reason: str
    attempts: int

    def to_error(self) -> JobFailed:
        """Return what a caller who waits is told."""
        return JobFailed(
            key=self.key, job=self.job, kind=self.kind, reason=self.reason, attempts=self.attempts
        )


Execution = Computed | Reused | Skipped | Deferred | Failed
