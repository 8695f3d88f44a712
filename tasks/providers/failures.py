"""Maps a provider's refusal to an error of the engine: try later, never again, or an operator must act.

Every adapter over HTTP uses this one table. It knows status numbers and header names, but no client library.
"""

from __future__ import annotations

import math
import time
from email.utils import mktime_tz, parsedate_tz
from typing import TYPE_CHECKING

from askonce.errors import CallFailed, Configuration, Permanent, Transient

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

#: Client errors about the moment, not about the request.
_TRY_LATER = frozenset({408, 409, 425, 429})
_CREDENTIALS = frozenset({401, 403})
#: Provider codes about every payload, whatever their status: an exhausted quota comes with the 429 of a rate
#: limit, and waiting does not refill it.
_OPERATOR_CODES = frozenset({"insufficient_quota", "billing_not_active", "model_not_found"})


def from_status(
    status: int, *, code: str | None = None, retry_after: float | None = None, maybe_billed: bool = False
) -> CallFailed:
    """Return the error for an HTTP *status* that is not a success.

    *code* is the provider's own error code; *retry_after* is in seconds. An unfollowed redirect counts as
    configuration: the address is wrong for every payload.
    """
    if code in _OPERATOR_CODES:
        return Configuration(code)
    reason = f"http_{status}"
    if status in _TRY_LATER or status >= 500:  # noqa: PLR2004  # the lower bound of HTTP's server errors
        return Transient(reason, retry_after=retry_after, maybe_billed=maybe_billed)
    if status in _CREDENTIALS or status < 400:  # noqa: PLR2004  # the lower bound of HTTP's client errors
        return Configuration(reason)
    return Permanent(reason)


def with_spending(
    failure: CallFailed, *, usage: Mapping[str, int], cost_usd: float | None, **calls: int
) -> CallFailed:
    """Return the same failure with ``usage`` and ``cost_usd`` in its data.

    *calls* are ``calls`` and ``in_doubt``, where it was not one call that was answered.
    """
    return type(failure)(**{**failure.data, "usage": dict(usage), "cost_usd": cost_usd, **calls})  # type: ignore[arg-type]  # its own data, and what every kind may carry


def parse_retry_after(headers: Mapping[str, str], *, clock: Callable[[], float] = time.time) -> float | None:
    """Return the seconds that a provider asks to wait; None without a header that can be read.

    Reads ``retry-after-ms`` first, because it is finer, then ``retry-after`` as seconds or as an HTTP date
    (RFC 9110, 10.2.3). *clock* gives the epoch time in seconds.
    """
    named = {name.lower(): value for name, value in headers.items()}
    milliseconds = _number(named.get("retry-after-ms", ""))
    if milliseconds is not None:
        return milliseconds / 1000
    text = named.get("retry-after", "")
    seconds = _number(text)
    return seconds if seconds is not None else _seconds_until(text, clock)


def _number(text: str) -> float | None:
    try:
        number = float(text)
    except ValueError:
        return None
    return max(number, 0.0) if math.isfinite(number) else None


def _seconds_until(date: str, clock: Callable[[], float]) -> float | None:
    parsed = parsedate_tz(date)
    if parsed is None:
        return None
    try:
        return max(mktime_tz(parsed) - clock(), 0.0)
    except (ValueError, OverflowError):
        return None
