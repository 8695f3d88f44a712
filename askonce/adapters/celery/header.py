"""What our message header holds: the identity of an admitted job, or what a caller chose for one that is not.

A message that askonce sent carries the identity of its job; the worker computes it again and compares. Any
other message may carry askonce's own options, for which Celery has no place. A foreign app writes them too:
``send_task(name, kwargs=..., headers={"askonce": {"tenant": "acme"}})``.
"""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING, Any, TypeGuard, cast

from askonce.errors import OptionInvalid
from askonce.options import RESERVED_HEADER, require_valid

if TYPE_CHECKING:
    from collections.abc import Mapping

    from askonce.message import Message
    from askonce.options import Options

HEADER = RESERVED_HEADER
#: When the options were chosen: milliseconds since 1970 by the caller's clock.
ASKED_AT = "asked_at"
#: The options that Celery knows no place for.
OWN = frozenset(
    {"on_duplicate", "force", "max_age", "stale_while_revalidate", "stale_if_error", "tenant", "run"}
)

#: Options of a message whose arguments Celery would otherwise show to every monitor.
NO_REPR = {"argsrepr": "()", "kwargsrepr": "{}"}
_DIGEST = re.compile("[0-9a-f]{64}")
#: What an identity holds; and ``job`` where the message's own id is another.
_TEXTS = frozenset({"key", "fingerprint", "version", "tenant", "run"})
_TIMES = frozenset({"admitted_at", "sent_at"})


def identity(message: Message, delivery: str) -> dict[str, Any]:
    """Return the header by which a worker knows a job of ours; *delivery* is the message's own id."""
    job = message.job
    known: dict[str, Any] = {
        "key": job.key,
        "fingerprint": job.fingerprint,
        "version": job.version,
        "tenant": job.tenant,
        "run": job.run,
        "admitted_at": job.admitted_at,
        "sent_at": message.sent_at,
    }
    if delivery != job.id:
        known["job"] = job.id
    return known


def is_identity(header: object) -> TypeGuard[dict[str, Any]]:
    """Return whether *header* has the form of an identity; its content is compared with the payload."""
    if not isinstance(header, dict) or header.keys() - {"job"} != _TEXTS | _TIMES:
        return False
    return (
        all(isinstance(header[name], str) and header[name].isprintable() for name in header.keys() - _TIMES)
        and all(type(header[name]) is int for name in _TIMES)
        and all(_DIGEST.fullmatch(header[name]) for name in ("key", "fingerprint"))
    )


def chosen(header: object) -> Options:
    """Return the options in the *header* of a message that askonce did not send; none without a header.

    Raises:
        OptionInvalid: names the option, or the header where it is no mapping.
    """
    if header is None:
        return {}
    if not isinstance(header, dict):
        raise OptionInvalid(option=f"headers.{HEADER}", reason="must be a mapping")
    for name in header:
        if name not in OWN | {ASKED_AT}:
            raise OptionInvalid(option=f"headers.{HEADER}.{name}", reason="is no option of a message")
    options = cast("Options", {name: value for name, value in header.items() if name != ASKED_AT})
    require_valid(options)
    return options


def of_one_request() -> dict[str, Any]:
    """Return the header of a message whose job is not admitted yet, under an id that was drawn for it alone.

    It chooses nothing: a worker of an older version takes it for a message without options.
    """
    return {ASKED_AT: time.time_ns() // 1_000_000}


def is_of_one_request(header: object) -> bool:
    """Return whether *header* is such a one: another message with the same id is a copy."""
    return isinstance(header, dict) and header.keys() == {ASKED_AT}


def asked_before(header: object) -> float | None:
    """Return how many seconds ago the options of a message were chosen; None where it does not say."""
    asked_at = header.get(ASKED_AT) if isinstance(header, dict) else None
    return max(0.0, time.time() - asked_at / 1000) if type(asked_at) is int else None


def is_passed(name: str, value: object) -> bool:
    """Return whether a caller passed this option: Celery passes None for those that it leaves out.

    A tenant of None is passed, and refused: its caller lost it, and would get the answers of no tenant.
    """
    return value is not None or name == "tenant"


def with_own_options(options: Mapping[str, Any]) -> dict[str, Any]:
    """Return Celery's *options* of one message, with askonce's own in its header.

    Raises:
        OptionInvalid: names the option.
    """
    own = {name: options[name] for name in OWN & options.keys() if is_passed(name, options[name])}
    celerys = {name: value for name, value in options.items() if name not in OWN}
    if not own:
        return celerys
    if not is_continuation(options):
        require_valid(cast("Options", own))
    headers = celerys.get("headers") or {}
    refused = headers.get(HEADER) or {}
    own[ASKED_AT] = time.time_ns() // 1_000_000
    return {**celerys, "headers": {**headers, HEADER: {**own, **refused}}}


def is_continuation(options: Mapping[str, Any]) -> bool:
    """Return whether Celery goes on with a chain or a link: the caller who chose *options* is gone.

    The worker that gets the message refuses them, so that the result of the chain says why.
    """
    return options.get("parent_id") is not None


def to_be_refused(options: Mapping[str, Any], refused: OptionInvalid) -> dict[str, Any]:
    """Return *options* with the *refused* one in our header, where a worker refuses it by its name."""
    left = {name: value for name, value in options.items() if name != refused.option}
    headers = left.get("headers") or {}
    ours = {**(headers.get(HEADER) or {}), refused.option: None}
    return {**left, "headers": {**headers, HEADER: ours}}
