"""One job: the call that equal payloads share, under one key and one id.

Claims, messages, deliveries, lost jobs and dead letters carry the same Job; no module copies its fields.
"""

from __future__ import annotations

from secrets import token_hex
from typing import NamedTuple, NewType, Self

#: SHA-256 over task, version, tenant and identity; 64 hexadecimal digits.
Key = NewType("Key", str)
#: One generation of a key: drawn at random, and kept until the job ends, however often its message is sent.
JobId = NewType("JobId", str)
#: SHA-256 over the payload; 64 hexadecimal digits.
Fingerprint = NewType("Fingerprint", str)
#: The token of one run. It authorises writes, so only ``read`` returns it.
Owner = NewType("Owner", str)


def new_job_id() -> JobId:
    """Draw the id of a new job."""
    return JobId(token_hex(16))


def new_owner(holder: str) -> Owner:
    """Draw the token of one run; *holder* names its process to an operator."""
    return Owner(f"{holder}:{token_hex(16)}")


class Job(NamedTuple):
    """A payload of one task, with its key; ``askonce.key.identify`` makes one."""

    key: Key
    id: JobId
    fingerprint: Fingerprint
    task: str
    #: The canonical JSON object.
    payload: bytes
    #: The task's version and the caller's tenant: both are part of the key.
    version: str = "1"
    tenant: str = ""

    def under(self, job_id: JobId) -> Self:
        """Return the same job under *job_id*."""
        return self._replace(id=job_id)

    @property
    def edition(self) -> str:
        """Version and tenant in one word, as messages and records carry them."""
        return f"{self.version}\n{self.tenant}" if self.tenant else self.version


def split_edition(edition: str) -> tuple[str, str]:
    """Return the version and the tenant of a word that ``Job.edition`` joined."""
    version, _, tenant = edition.partition("\n")
    return version, tenant
