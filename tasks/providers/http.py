"""Fetches one JSON object over HTTP: one call, a timeout, and errors of the engine."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import quote

import httpx2

from askonce.errors import CallFailed, Permanent, Transient
from tasks.providers.failures import from_status, parse_retry_after

if TYPE_CHECKING:
    from settings.environment import Settings


class HttpLookup:
    """A pool of connections to one service. Build one for each process, after the fork."""

    def __init__(self, settings: Settings) -> None:
        """Call ``CUSTOMER_API_URL``; never retry, because the engine does."""
        # All threads may call at once, and no call may wait for the connection of another.
        limits = httpx2.Limits(max_connections=None, max_keepalive_connections=64)
        self._client = httpx2.Client(
            base_url=settings.customer_api_url, timeout=settings.customer_api_timeout, limits=limits
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
        except httpx2.TimeoutException:
            raise Transient("timeout", maybe_billed=True) from None
        except httpx2.InvalidURL:
            raise Permanent("invalid_url") from None
        except httpx2.HTTPError as exc:
            raise Transient(type(exc).__name__) from None
        if response.status_code != httpx2.codes.OK:
            raise _refused(response)
        return _object(response)

    def close(self) -> None:
        """Close the connections."""
        self._client.close()


def _refused(response: httpx2.Response) -> CallFailed:
    return from_status(response.status_code, retry_after=parse_retry_after(response.headers))


def _object(response: httpx2.Response) -> dict[str, object]:
    try:
        value = response.json()
    except ValueError:
        raise Transient("malformed_answer") from None
    if not isinstance(value, dict):
        raise Permanent("not_an_object")
    return value
