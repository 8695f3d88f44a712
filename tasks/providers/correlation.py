"""Gives a service the id of the job that calls it, and keeps the id that the service gives to the request.

Both are in the line of the job: so a request that a service has in its logs is found by the job, and the job
by the request.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from askonce.attempt import current_attempt

if TYPE_CHECKING:
    import httpx2

    from askonce.attempt import Attempt

#: What OpenAI reads and keeps; other services do not know it.
_OURS: Final = "X-Client-Request-Id"
#: What OpenAI and most gateways call a request.
_THEIRS: Final = "x-request-id"
#: Characters: OpenAI takes so many of ours, and no service's own id is longer than the second.
_LONGEST, _LONGEST_THEIRS = 512, 128
#: So many ids of one attempt are kept: a long transcript makes a request for each of its parts.
_KEPT: Final = 20


def attempt_of_call() -> Attempt | None:
    """Return the attempt whose call this is; None outside of a job, as for the doctor."""
    try:
        return current_attempt()
    except LookupError:
        return None


def name_job(request: httpx2.Request, attempt: Attempt) -> None:
    """Let *request* name the job of *attempt*, where a header can."""
    job = attempt.job
    # No header begins or ends with a space.
    if job.isascii() and job.isprintable() and job == job.strip() and 0 < len(job) <= _LONGEST:
        request.headers[_OURS] = job


def keep_id(reply: httpx2.Response, attempt: Attempt) -> None:
    """Keep what the service calls the request that *reply* answers, where that is one printable word."""
    theirs = reply.headers.get(_THEIRS, "")
    is_word = theirs.isascii() and theirs.isprintable() and not set(theirs) & {" ", ","}
    if 0 < len(theirs) <= _LONGEST_THEIRS and is_word and len(attempt.request_ids) < _KEPT:
        attempt.request_ids.append(theirs)
