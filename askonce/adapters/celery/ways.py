"""Sorts the options of ``apply_async``: each is honoured by one of three ways, or refused by name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from askonce.adapters.celery.header import HEADER, OWN, is_continuation, is_passed, to_be_refused
from askonce.adapters.celery.values import require_form, require_own_names, require_stamp
from askonce.errors import OptionInvalid
from askonce.options import id_of, require_valid

if TYPE_CHECKING:
    from askonce.options import Options

#: Stand in the record: every message of the job has them.
RECORDED = OWN | {
    "countdown",
    "eta",
    "expires",
    "headers",
    "priority",
    "queue",
    "soft_time_limit",
    "time_limit",
}
#: Say how the caller's own message is published. The reaper publishes later ones as the app is set up.
PUBLISHED = frozenset(
    {
        "compression",
        "confirm_timeout",
        "connection",
        "delivery_mode",
        "immediate",
        "mandatory",
        "producer",
        "publisher",
        "retry",
        "retry_policy",
        "timeout",
    }
)
#: Belong to one message and no other of its job, so its caller gets a message of its own: a worker attaches
#: it to an equal job, and Celery keeps its result.
OF_ONE_MESSAGE = frozenset(
    {
        "chain",
        "chord",
        "group_id",
        "group_index",
        "ignore_result",
        "link",
        "link_error",
        "origin",
        "parent_id",
        "replaced_task_nesting",
        "reply_to",
        "retries",
        "root_id",
        "route_name",
        "router",
        "shadow",
        "stamped_headers",
        "stamps",
    }
)
_TO_A_QUEUE = "a job's messages go to a queue by its name: pass queue"
_UNSEEN = "monitors never see the arguments of a job"
REFUSED: Mapping[str, str] = {
    "argsrepr": _UNSEEN,
    "body": "is made of the arguments",
    "callbacks": "is called link here",
    "content_encoding": "a job's payload is JSON",
    "content_type": "a job's payload is JSON",
    "create_sent_event": "is the app's setting task_send_sent_event",
    "declare": "declare the queue in task_queues, and pass queue",
    "errbacks": "is called link_error here",
    "exchange": _TO_A_QUEUE,
    "exchange_type": _TO_A_QUEUE,
    "expiration": "would let the message end without its job: pass expires",
    "job": "is called task_id here",
    "kwargsrepr": _UNSEEN,
    "now": "is the app's clock",
    "result_cls": "the result is read from the record",
    "routing_key": _TO_A_QUEUE,
    "serializer": "a job's payload is JSON",
    "task_type": "is the task itself",
    "timezone": "pass an eta with a time zone",
}
#: Options of ``apply`` beside these, which runs the task in its caller.
OF_APPLY = frozenset({"args", "kwargs", "logfile", "loglevel", "retries", "task_id", "throw"})
_LINKS = frozenset({"chain", "link", "link_error"})
#: What every message of a job has anyway.
_AS_ALWAYS: Mapping[str, object] = {"serializer": "json", "retries": 0, "replaced_task_nesting": 0}
_DECIDED = RECORDED | PUBLISHED | OF_ONE_MESSAGE | REFUSED.keys() | {"add_to_parent", "serializer"}


def require_usable(options: Mapping[str, Any]) -> None:
    """Refuse what is no option of any message, which Celery would drop, and a value that no worker takes.

    Raises:
        OptionInvalid: names the option.
    """
    stamps, has_caller = _stamps_of(options), not is_continuation(options)
    for name, value in options.items():
        if name not in _DECIDED and name not in stamps:
            raise OptionInvalid(option=name, reason="is no option of send_task")
        if has_caller and not _is_nothing(name, value):
            require_form(name, value)
    if has_caller:
        require_own_names(_headers(options))


def _stamps_of(options: Mapping[str, Any]) -> frozenset[str]:
    """Return the names of the stamps in *options*, each of which is passed beside them.

    Raises:
        OptionInvalid: names the option.
    """
    stamps = options.get("stamped_headers")
    if not stamps:
        return frozenset()
    require_form("stamped_headers", stamps)
    for name in stamps:
        if name in _DECIDED or options.get(name) is None:
            reason = f"{name} is an option" if name in _DECIDED else f"{name} has no value beside it"
            raise OptionInvalid(option="stamped_headers", reason=reason)
        require_stamp(name, options[name])
    return frozenset(stamps)


def _is_nothing(name: str, value: object) -> bool:
    """Return whether a message with this option is as one without."""
    if not is_passed(name, value) or (name in _LINKS and not value):
        return True
    # Both ways of a message add its result to the parent's.
    return name == "add_to_parent" or (name in _AS_ALWAYS and value == _AS_ALWAYS[name])


class Sorted(NamedTuple):
    """The options of one call, by the way that honours them."""

    recorded: dict[str, Any]
    published: dict[str, Any]
    of_one_message: dict[str, Any]


def sort(options: Mapping[str, Any]) -> Sorted:
    """Return *options* by the way that honours them; an empty link was not passed.

    Raises:
        OptionInvalid: names an option that no way honours, or whose value none can.
    """
    by_way = Sorted({}, {}, {})
    stamps = _stamps_of(options)
    for name, value in options.items():
        if _is_nothing(name, value):
            continue
        if name != "parent_id":  # on which depends who would hear of it
            require_form(name, value)
        if name in RECORDED:
            by_way.recorded[name] = value
        elif name in PUBLISHED:
            by_way.published[name] = value
        elif name in OF_ONE_MESSAGE or name in stamps:
            by_way.of_one_message[name] = value
        else:
            raise OptionInvalid(option=name, reason=REFUSED.get(name, "is no option of apply_async"))
    return by_way


def require_own_message(task_id: str | None, options: Mapping[str, Any]) -> None:
    """Check a message of its caller's own before it is sent: the worker has no caller to refuse.

    Raises:
        OptionInvalid: names the option.
    """
    require_form("parent_id", options.get("parent_id"))
    if is_continuation(options):
        return
    if task_id is not None:
        id_of("task_id", task_id)
    recorded = sort(options).recorded
    require_valid(cast("Options", recorded))
    require_own_names(recorded.get("headers") or {})


def with_own_names(options: Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the *options* of a continuation; a worker refuses those of its headers that no message can have.

    Celery would take such a header for one of the message itself, and nobody would get the result.
    """
    try:
        require_own_names(_headers(options))
    except OptionInvalid as refused:
        headers = options.get("headers")
        ours = headers.get(HEADER) if isinstance(headers, Mapping) else None
        return to_be_refused({**options, "headers": {} if ours is None else {HEADER: ours}}, refused)
    return options


def _headers(options: Mapping[str, Any]) -> Mapping[str, Any]:
    headers = options.get("headers") or {}
    if not isinstance(headers, Mapping):
        raise OptionInvalid(option="headers", reason=f"must be a mapping, not {type(headers).__name__}")
    return headers
