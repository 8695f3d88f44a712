"""Fetches one JSON object over HTTP: one call, a timeout, and errors of the engine."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import quote

import httpx2

from askonce.errors import CallFailed, Permanent, Transient
from tasks.providers.connection import failure_of_connection
from tasks.providers.failures import as_attempt, from_status, parse_retry_after
from tasks.providers.transport import CUSTOMER_REPLY, new_client

if TYPE_CHECKING:
    from settings.environment import Settings


class HttpLookup:
    """A pool of connections to one service. Build one for each process, after the fork."""

    def __init__(self, settings: Settings) -> None:
        """Call ``CUSTOMER_API_URL``; never retry, because the engine does."""
        self._client = new_client(
            base_url=settings.customer_api_url,
            timeout=settings.customer_api_timeout,
            largest_reply=CUSTOMER_REPLY,
        )

    def fetch(self, *segments: str) -> dict[str, object]:
        """GET the object at the path made of *segments*.

        Raises:
            Transient: no answer, or the service asks to come back later.
            Permanent: the service has no such object, or its answer is no object.
            Configuration: the service refuses our credentials.
        """
        # An id must not change the path outside its own segment.
        path = "/".join(quote(segment, safe="").replace(".", "%2E") for segment in segments)
        try:
            response = self._client.get(path)
        except httpx2.InvalidURL:
            raise Permanent("invalid_request") from None
        except httpx2.HTTPError as exc:
            raise as_attempt(failure_of_connection(exc)) from None
        if response.status_code != httpx2.codes.OK:
            raise _refused(response)
        return _object(response)

    def close(self) -> None:
        """Close the connections."""
        self._client.close()


def _refused(response: httpx2.Response) -> CallFailed:
    wish = parse_retry_after(response.headers)
    # An order has something in place of the customer: its look-up may fail, and does not wait.
    return as_attempt(from_status(response.status_code, retry_after=wish))


def _object(response: httpx2.Response) -> dict[str, object]:
    try:
        value = response.json()
    except (ValueError, RecursionError):
        raise Transient("malformed_answer") from None
    if not isinstance(value, dict):
        raise Permanent("malformed_answer")
    return value
