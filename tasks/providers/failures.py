"""Maps a refusal over HTTP to an error of the engine: wait, try again, give up, or ask an operator.

    Postponed      the call was refused before it was paid: the job waits, and no attempt is used
    Transient      it may have been paid, or it is unknown why it failed: an attempt is used
    Permanent      this payload never succeeds
    Configuration  no payload succeeds

Every adapter over HTTP uses this one table. It knows status numbers and header names, but no client library.
Its reasons are words of the closed list in ``tasks/reasons.py``.
"""

from __future__ import annotations

import math
import time
from email.utils import mktime_tz, parsedate_tz
from types import MappingProxyType
from typing import TYPE_CHECKING, Final

from askonce.errors import CallFailed, Configuration, Permanent, Postponed, Transient

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from askonce.spend import Spend

    Verdict = tuple[type[CallFailed], str]

#: What a status means where the body says no more.
_BY_STATUS: Final[Mapping[int, Verdict]] = MappingProxyType(
    {
        400: (Permanent, "invalid_request"),
        401: (Configuration, "invalid_key"),
        402: (Configuration, "no_credit"),
        403: (Configuration, "no_permission"),
        404: (Permanent, "not_found"),
        407: (Configuration, "http_407"),
        408: (Transient, "timeout"),
        409: (Transient, "conflict"),
        410: (Permanent, "not_found"),
        413: (Permanent, "too_large"),
        422: (Permanent, "invalid_request"),
        # Hugging Face and Gemini gave up in the middle of an answer.
        424: (Transient, "gateway_gave_up"),
        425: (Transient, "http_425"),
        429: (Postponed, "rate_limited"),
        499: (Transient, "gateway_gave_up"),
        502: (Transient, "gateway_gave_up"),
        503: (Transient, "unavailable"),
        504: (Transient, "gateway_gave_up"),
        # Not of HTTP's own list: a proxy in front of the service lost it, or waited too long for it.
        520: (Transient, "gateway_gave_up"),
        522: (Transient, "gateway_gave_up"),
        524: (Transient, "gateway_gave_up"),
        # The same, where it did not reach the service at all.
        521: (Postponed, "connect_failed"),
        523: (Postponed, "connect_failed"),
        525: (Postponed, "connect_failed"),
        526: (Postponed, "connect_failed"),
        530: (Postponed, "connect_failed"),
        529: (Postponed, "overloaded"),
    }
)
#: Statuses that mean the address where a call always goes to the same one.
_ADDRESS: Final = frozenset({404, 405, 410})
#: Reasons of calls that the service may have finished, and charged, although no answer came.
_MAYBE_BILLED: Final = frozenset(
    {"timeout", "connection_lost", "server_error", "gateway_gave_up", "malformed_answer", "truncated"}
)


def from_status(status: int, *, retry_after: float | None = None, one_address: bool = False) -> CallFailed:
    """Return the error for an HTTP *status* that is not a success, in which the body says no more.

    *retry_after* is in seconds. With *one_address* all calls go to the same address, so an address that does
    not exist is no matter of the payload.
    """
    if one_address and status in _ADDRESS:
        return Configuration("not_an_api")
    if status == 503 and retry_after is not None:  # noqa: PLR2004  # a service that says when has refused
        return failure(Postponed, "overloaded", retry_after=retry_after)
    kind, reason = _BY_STATUS.get(status) or _by_class(status)
    return failure(kind, reason, retry_after=retry_after)


def failure(kind: type[CallFailed], reason: str, *, retry_after: float | None = None) -> CallFailed:
    """Return the error of this *kind* and *reason*: whether it may have been paid follows from the reason."""
    if issubclass(kind, Postponed):
        return kind(reason, retry_after=retry_after)
    if issubclass(kind, Transient):
        return kind(reason, retry_after=retry_after, maybe_billed=reason in _MAYBE_BILLED)
    return kind(reason)


def _by_class(status: int) -> Verdict:
    match status // 100:
        case 3:
            # Not followed: the address is wrong for every payload, and the text must not go to another one.
            return Configuration, "redirected"
        case 4:
            return Permanent, f"http_{status}"
        case 5:
            return Transient, "server_error"
        case _:
            return Transient, f"http_{status}"


def as_attempt(failed: CallFailed) -> CallFailed:
    """Return *failed*, or for a job that would wait the same as an attempt.

    For a caller who has something in place of the answer, and for a call that something was paid for.
    """
    if not isinstance(failed, Postponed):
        return failed
    return Transient(**failed.data)  # type: ignore[arg-type]  # a reason and a wish, which both kinds have


def with_spending(
    failed: CallFailed, *, usage: Mapping[str, int], cost_usd: float | None, **calls: int
) -> CallFailed:
    """Return the same failure with ``usage`` and ``cost_usd`` in its data.

    *calls* are ``calls`` and ``in_doubt``, where it was not one call that was answered. What was paid uses an
    attempt: a job that waits would pay for it again without end.
    """
    failed = as_attempt(failed)
    return type(failed)(**{**failed.data, "usage": dict(usage), "cost_usd": cost_usd, **calls})  # type: ignore[arg-type]  # its own data, and what every kind may carry


def as_whole(failed: CallFailed, whole: Spend, *, paid: Spend) -> CallFailed:
    """Return the same failure with what its job cost as a *whole*, and what this attempt *paid* of that."""
    found = with_spending(failed, usage=whole.usage, cost_usd=whole.cost_usd, calls=whole.calls, in_doubt=0)
    found.data |= {"paid": paid, "caused": whole.caused}
    return found


def parse_retry_after(headers: Mapping[str, str], *, clock: Callable[[], float] = time.time) -> float | None:
    """Return the seconds that a provider asks to wait; None without a header that can be read.

    Reads ``retry-after-ms`` first, because it is finer, then ``retry-after`` as seconds or as an HTTP date
    (RFC 9110, 10.2.3). *clock* gives the epoch time in seconds. The engine waits for a second at least and
    for a day at most. A header that the LiteLLM proxy passes on has a name of its own, and counts the same.
    """
    named = {name.lower().removeprefix("llm_provider-"): value for name, value in headers.items()}
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
