"""The options of one ``enqueue``: each is honoured, or refused by name."""

from __future__ import annotations

import time
from collections.abc import Mapping
from datetime import datetime
from typing import Literal, TypedDict, TypeVar, get_args

from askonce.canonical import to_json
from askonce.claim import Terms
from askonce.errors import OptionInvalid, PayloadInvalid
from askonce.job import NO_CHOICE, Routing
from askonce.spec import JobSpec

OnDuplicate = Literal["attach", "reject"]

#: Bytes of extra headers as JSON: every message and the record carry them.
HEADERS_MAX = 4096
#: Characters of a tenant, a run, a queue's name and a job's id.
NAME_MAX = 200
#: Bytes of a job's id: AMQP has no longer ones.
ID_BYTES_MAX = 255
#: The largest number that AMQP has.
PRIORITY_MAX = 255
#: Seconds; longer than any queue.
_LONGEST = 365 * 86_400.0
#: The name under which messages carry a job's identity.
RESERVED_HEADER = "askonce"


class Options(TypedDict, total=False):
    """What a caller may choose. Times in seconds, or as a datetime with a time zone."""

    #: What a caller gets while an equal job is in flight.
    on_duplicate: OnDuplicate
    #: Make a new job although an answer is fresh or a failure is kept.
    force: bool
    #: Make a new job when the answer is older.
    max_age: float | None
    #: Be served an answer that is stale for less than so long, while a job makes it anew.
    stale_while_revalidate: float | None
    #: Be served an answer that is stale for at most so long where the call fails.
    stale_if_error: float | None
    #: Separates the answers of tenants; part of the key.
    tenant: str
    #: The id of the new job, a printable line of its own; drawn at random by default.
    job: str | None
    #: The batch that this job belongs to.
    run: str
    queue: str
    #: The broker's own number.
    priority: int
    #: Extra headers of the message.
    headers: Mapping[str, object]
    time_limit: float
    soft_time_limit: float
    #: The job starts no sooner; a sweep of the reaper later at most.
    countdown: float
    eta: datetime
    #: A job that is queued for longer ends without an answer.
    expires: float | datetime


def terms_of(spec: JobSpec, options: Options, more_urgent: Literal["<", ">"], now: float) -> Terms:
    """Return the terms of *spec* with *options*; *more_urgent* says which priority numbers come first.

    *now* is in seconds since 1970.

    Raises:
        OptionInvalid: names the option.
    """
    if not options:  # most calls: the checks of each option cost as much as the key
        return Terms.of(spec)
    if unknown := options.keys() - Options.__annotations__.keys():
        raise OptionInvalid(option=min(unknown), reason="is no option of enqueue")
    if options.get("on_duplicate", "attach") not in get_args(OnDuplicate):
        raise OptionInvalid(option="on_duplicate", reason="must be attach or reject")
    max_age, expires, countdown = options.get("max_age"), _expires(options, now), _countdown(options, now)
    if max_age is not None:
        max_age = _duration("max_age", max_age, at_least=0.0)
    if expires is not None and expires <= countdown:
        raise OptionInvalid(option="expires", reason="must be later than the start")
    chosen = [name for name in ("queue", "headers") if options.get(name) is not None]
    if "time_limit" in options or "soft_time_limit" in options:
        chosen.append("limits")
    if options.get("priority") is not None:
        chosen.append(f"priority{more_urgent}")
    terms = Terms.of(spec, force=_force(options), max_age=max_age)
    return terms._replace(
        expires=expires,
        countdown=countdown,
        chosen=tuple(chosen),
        reject=options.get("on_duplicate") == "reject",
        stale_while_revalidate=_stale(
            "stale_while_revalidate", options, otherwise=terms.stale_while_revalidate
        ),
        stale_if_error=_stale("stale_if_error", options, otherwise=terms.stale_if_error),
    )


def routing_of(options: Options) -> Routing:
    """Return the part of a job's routing that *options* choose.

    Raises:
        OptionInvalid: names the option.
    """
    if not options:
        return NO_CHOICE
    priority = options.get("priority")
    if priority is not None and not (type(priority) is int and 0 <= priority <= PRIORITY_MAX):
        raise OptionInvalid(option="priority", reason="must be a whole number from 0 to 255")
    limit, soft = _limit("time_limit", options), _limit("soft_time_limit", options)
    if limit is not None and soft is not None and soft >= limit:
        raise OptionInvalid(option="soft_time_limit", reason="must be shorter than time_limit")
    return Routing(
        queue=name_of("queue", options.get("queue") or ""),
        priority=priority,
        time_limit=limit,
        soft_time_limit=soft,
        headers=_headers(options.get("headers")),
    )


def require_valid(options: Options) -> None:
    """Check *options* before they travel in a message: the worker that gets it has no caller to refuse.

    Raises:
        OptionInvalid: names the option.
    """
    terms_of(_ANY_SPEC, options, ">", time.time())
    routing_of(options)
    for name in ("tenant", "run"):
        name_of(name, options.get(name, ""))


_ANY_SPEC = JobSpec()

#: What a store calls these options.
_CALLED = {"limits": ("time_limit", "soft_time_limit"), "countdown": ("countdown", "eta")}


def as_passed(ignored: tuple[str, ...], options: Options) -> tuple[str, ...]:
    """Return what a store *ignored* under the names by which the caller passed it."""
    if not ignored:  # most callers pass nothing that can be
        return ()
    names = (name for word in ignored for name in _CALLED.get(word, (word,)))
    return tuple(name for name in names if options.get(name) is not None)


def name_of(option: str, text: object) -> str:
    """Return *text* if it can be a name: one line, not too long.

    Raises:
        OptionInvalid: names the *option*.
    """
    if not isinstance(text, str):
        raise OptionInvalid(option=option, reason=f"must be text, not {type(text).__name__}")
    if len(text) > NAME_MAX or not text.isprintable():
        raise OptionInvalid(
            option=option, reason=f"must be one printable line of at most {NAME_MAX} characters"
        )
    return text


def id_of(option: str, text: object) -> str:
    """Return *text* if every worker takes it as the id of a job's messages.

    Raises:
        OptionInvalid: names the *option*.
    """
    # Surrogates are not printable, so the rest can be encoded.
    fits = isinstance(text, str) and 0 < len(text) <= NAME_MAX and text.isprintable()
    if not fits or len(str(text).encode()) > ID_BYTES_MAX:
        reason = f"must be 1 to {NAME_MAX} printable characters, and {ID_BYTES_MAX} bytes at most"
        raise OptionInvalid(option=option, reason=reason)
    return str(text)


def _force(options: Options) -> bool:
    force = options.get("force")
    if force is not None and not isinstance(force, bool):
        raise OptionInvalid(option="force", reason="must be True or False")
    return bool(force)


def _expires(options: Options, now: float) -> float | None:
    expires = options.get("expires")
    if expires is None:
        return None
    seconds = _until("expires", expires, now) if isinstance(expires, datetime) else expires
    return _duration("expires", seconds, at_least=0.001)


def _countdown(options: Options, now: float) -> float:
    countdown, eta = options.get("countdown"), options.get("eta")
    if countdown is not None and eta is not None:
        raise OptionInvalid(option="eta", reason="cannot be given beside countdown")
    if eta is not None:
        return _duration("eta", max(0.0, _until("eta", eta, now)), at_least=0.0)
    return 0.0 if countdown is None else _duration("countdown", countdown, at_least=0.0)


def _until(option: str, moment: object, now: float) -> float:
    if not isinstance(moment, datetime):
        raise OptionInvalid(option=option, reason="must be a datetime with a time zone")
    if moment.tzinfo is None:
        raise OptionInvalid(option=option, reason="must have a time zone")
    return moment.timestamp() - now


def _limit(name: Literal["time_limit", "soft_time_limit"], options: Options) -> float | None:
    limit = options.get(name)
    return None if limit is None else _duration(name, limit, at_least=0.001)


def _duration(option: str, seconds: object, *, at_least: float) -> float:
    if not isinstance(seconds, int | float) or isinstance(seconds, bool):
        raise OptionInvalid(option=option, reason="must be a number of seconds")
    # NaN is within no limits.
    if not at_least <= seconds <= _LONGEST:
        raise OptionInvalid(option=option, reason=f"must be from {at_least:g} to {_LONGEST:g} seconds")
    return float(seconds)


_OtherwiseT = TypeVar("_OtherwiseT", float, float | None)


def _stale(
    name: Literal["stale_while_revalidate", "stale_if_error"], options: Options, *, otherwise: _OtherwiseT
) -> float | _OtherwiseT:
    seconds = options.get(name)
    return otherwise if seconds is None else _duration(name, seconds, at_least=0.0)


def _headers(headers: Mapping[str, object] | None) -> str:
    if headers is None:
        return ""
    if not isinstance(headers, Mapping):
        raise OptionInvalid(option="headers", reason=f"must be a mapping, not {type(headers).__name__}")
    if not headers:
        return ""
    if RESERVED_HEADER in headers:
        raise OptionInvalid(option="headers", reason=f"{RESERVED_HEADER} is the name of our own")
    try:
        text = to_json(dict(headers), canonical=True)
    except PayloadInvalid as invalid:
        raise OptionInvalid(option=f"headers.{invalid.field}", reason=invalid.reason) from None
    if len(text) > HEADERS_MAX:
        raise OptionInvalid(option="headers", reason=f"{len(text)} bytes, more than {HEADERS_MAX}")
    return text.decode()
