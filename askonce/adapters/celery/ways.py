"""Sorts the options of ``apply_async``: each is honoured by one of three ways, or refused by name."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from askonce.adapters.celery.header import OWN, is_passed
from askonce.errors import OptionInvalid

if TYPE_CHECKING:
    from collections.abc import Mapping

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


def require_known(options: Mapping[str, Any]) -> None:
    """Refuse what is no option of any message: Celery would drop it.

    Raises:
        OptionInvalid: names the option.
    """
    known = RECORDED | PUBLISHED | OF_ONE_MESSAGE | REFUSED.keys() | {"add_to_parent", "serializer"}
    stamps = options.get("stamped_headers") or ()
    for name in options.keys() - known - set(stamps):
        raise OptionInvalid(option=name, reason="is no option of send_task")


def _is_as_always(name: str, value: object) -> bool:
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
        OptionInvalid: names an option that no way honours.
    """
    by_way = Sorted({}, {}, {})
    stamps = options.get("stamped_headers") or ()
    for name, value in options.items():
        if not is_passed(name, value) or (name in _LINKS and not value) or _is_as_always(name, value):
            continue
        if name in RECORDED:
            by_way.recorded[name] = value
        elif name in PUBLISHED:
            by_way.published[name] = value
        elif name in OF_ONE_MESSAGE or name in stamps:
            by_way.of_one_message[name] = value
        else:
            raise OptionInvalid(option=name, reason=REFUSED.get(name, "is no option of apply_async"))
    return by_way
