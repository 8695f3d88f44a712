"""Checks whether Celery can use what stands in a message.

Celery takes the headers and the fourth part of a body as they are: they become attributes of the request, are
compared, converted and sent on, in the thread that serves the whole worker. A value of another type would end
it, and the next worker that gets the message. So every header that Celery reads has its form here, and the
others must be none of the request's own names.
"""

from __future__ import annotations

import inspect
from copy import deepcopy
from datetime import MAXYEAR, MINYEAR
from typing import TYPE_CHECKING, Any, cast

import orjson
from celery import Celery
from celery.app.amqp import AMQP
from celery.app.task import Context
from celery.canvas import Signature, maybe_signature
from celery.utils.time import maybe_iso8601
from kombu.utils.json import dumps

from askonce.adapters.kombu.envelope import DEPTH_MAX, is_shallow
from askonce.letters import BODY_KEPT

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

#: How the names of Celery's own tasks begin: chunks, map, chords.
BUILT_IN = "celery."
#: Reasons of dead letters.
INVALID_TASK, LINK_REFUSED = "invalid_task", "link_refused"
#: Characters of a name: a task's, a message's id, a group's.
_NAME_MAX = 1000
#: Levels of a body: more than any payload has. Celery pickles it for a child, by recursion.
_BODY_DEPTH_MAX = 300
#: Seconds of a limit.
_LIMIT_MAX = 10**9
_COUNT_MAX = 2**31
_PRIORITY_MAX = 255
#: Callbacks of one message: all are sent at its end. Of a chain only the next one is, so it has no limit.
CALLBACKS_MAX = 100
_LINKS = frozenset({"callbacks", "errbacks", "chain", "chord"})
#: Celery's own tasks whose arguments are links.
_CALL_ARGUMENTS = frozenset({"celery.chord_unlock", "celery.group", "celery.chord"})
#: Arguments of a canvas that are links.
_PARTS = ("tasks", "header", "body")
#: What a body of Celery's first protocol holds besides headers.
_FIRST_PROTOCOL = _LINKS | {"args", "kwargs", "utc"}
#: Options of a task that is sent again: a stamp of such a name would be one.
_OPTIONS = (
    {*inspect.signature(Celery.send_task).parameters, *inspect.signature(AMQP.as_task_v2).parameters}
    | {"queue", "exchange", "routing_key", "priority", "serializer", "compression", "delivery_mode"}
    | {"headers", "immediate", "mandatory", "retry", "retry_policy", "declare", "stamps"}
)


def fault_of(message: Any, app: Celery) -> str | None:
    """Return why no worker can run *message*; None for one that Celery may judge.

    Raises:
        Exception: what its codec raises for its body.
    """
    headers, body = message.headers, message.payload  # kept by kombu: Celery reads it again
    if not isinstance(headers, dict) or not _are_properties(message.properties):
        return INVALID_TASK
    if isinstance(body, dict):
        # Celery's first protocol has everything in the body; headers win.
        described = {name: body[name] for name in body.keys() - _FIRST_PROTOCOL} | headers
        parts = body.get("args", []), body.get("kwargs", {}), {name: body.get(name) for name in _LINKS}
        shaped = "task" not in headers or "args" in body
    else:
        described, parts = headers, body
        shaped = isinstance(body, (list, tuple)) and len(body) == len(("args", "kwargs", "embed"))
    if "task" not in described:
        return None
    if not shaped or not _is_described(described) or not _are_parts(*parts):
        return INVALID_TASK
    return _fault_of_links(parts[2] or {}, described["task"], app)


def _are_parts(args: object, kwargs: object, embed: object) -> bool:
    return (
        isinstance(args, (list, tuple))
        and isinstance(kwargs, dict)
        and (embed is None or (isinstance(embed, dict) and embed.keys() <= _LINKS))
        and is_shallow([args, kwargs, embed], _BODY_DEPTH_MAX)
    )


def _fault_of_links(embed: Mapping[str, Any], task: str, app: Celery) -> str | None:
    """Return why the links of a message of *task* cannot be called, with the rights of this worker."""
    has_links = any(embed.values())
    if (has_links or task in _CALL_ARGUMENTS) and not _may_call_links(task, app):
        return LINK_REFUSED
    if not has_links:
        return None
    callbacks, errbacks, chain = [embed.get(name) or [] for name in ("callbacks", "errbacks", "chain")]
    lists = callbacks, errbacks, chain
    if not all(isinstance(links, (list, tuple)) for links in lists):
        return INVALID_TASK
    chord = [] if embed.get("chord") is None else [embed["chord"]]
    if not all(is_link(link) and _is_buildable(link) for link in (*callbacks, *errbacks, *chain, *chord)):
        return INVALID_TASK
    return LINK_REFUSED if len(callbacks) + len(errbacks) > CALLBACKS_MAX else None


def _may_call_links(name: str, app: Celery) -> bool:
    """Return whether a worker calls links for the task *name*; for Celery's own, if it does for any other."""
    if not name.startswith(BUILT_IN):
        return _takes_links(app.tasks.get(name))
    return any(_takes_links(task) for other, task in app.tasks.items() if not other.startswith(BUILT_IN))


def _takes_links(task: Any) -> bool:
    """Return whether *task* takes links; a plain one does, as Celery's do, without ``links=False``."""
    takes: bool | None = getattr(task, "takes_links", None)
    return getattr(task, "links", None) is not False if takes is None else takes


def is_link(link: object) -> bool:
    """Return whether *link*, and each link in it, has the form of a signature."""
    if not (
        isinstance(link, dict)
        and _is_name(link.get("task"))
        and isinstance(link.get("args"), (list, tuple, type(None)))
        and isinstance(link.get("kwargs"), (dict, type(None)))
        and isinstance(link.get("options"), (dict, type(None)))
    ):
        return False
    options, parts, kind = link.get("options") or {}, link.get("kwargs") or {}, link.get("subtask_type")
    return all(form(options.get(name)) for name, form in _LINK_FORMS.items()) and (
        not kind
        or (
            isinstance(kind, str)
            and kind in Signature.TYPES
            and all(_are_links(parts.get(name)) for name in _PARTS)
        )
    )


def _is_buildable(link: dict[str, Any]) -> bool:
    """Return whether Celery can build the chain, group or other canvas of *link*."""
    try:
        # Celery changes what it builds from.
        maybe_signature(deepcopy(link) if link.get("subtask_type") else link)
    except Exception:  # noqa: BLE001  # whatever its types raise for what stands in it
        return False
    return True


def _are_links(links: object) -> bool:
    """Return whether *links* are None, one link, or a list of them."""
    if isinstance(links, (list, tuple)):
        return all(map(is_link, links))
    return links is None or is_link(links)


def _is_described(headers: dict[Any, Any]) -> bool:
    return (
        {"task", "id"} <= headers.keys()
        and all(_has_form(name, value) for name, value in headers.items())
        and is_small(headers)
    )


def _has_form(name: object, value: object) -> bool:
    form = FORMS.get(name)
    if form is None:
        # Whatever a caller adds; under one of the request's own names it would be taken for that.
        return isinstance(name, str) and not hasattr(Context, name)
    return form(value)


def _are_properties(properties: Mapping[str, Any]) -> bool:
    return _is_priority(properties.get("priority")) and all(
        _is_text(properties.get(name)) for name in ("correlation_id", "reply_to")
    )


def _is_priority(priority: object) -> bool:
    return priority is None or (type(priority) is int and 0 <= priority <= _PRIORITY_MAX)


def is_small(headers: object) -> bool:
    """Return whether *headers* can be written again, and kept."""
    try:
        return is_shallow(headers, DEPTH_MAX) and _length(headers) <= BODY_KEPT
    except Exception:  # noqa: BLE001  # whatever their types raise
        return False


def _length(headers: object) -> int:
    try:
        return len(orjson.dumps(headers))  # each message comes here, and kombu's JSON is slow
    except orjson.JSONEncodeError:
        return len(dumps(headers))


def _is_moment(moment: Any) -> bool:
    """Return whether Celery can read and compare *moment*, which it does outside of the task."""
    try:
        # In the first and the last year a time of one zone may have no form in another.
        year = getattr(maybe_iso8601(moment), "year", MINYEAR)
    except Exception:  # noqa: BLE001  # as Celery reads it: whatever it raises
        return False
    return bool(MINYEAR < year < MAXYEAR)


def _is_name(name: object) -> bool:
    return isinstance(name, str) and 0 < len(name) <= _NAME_MAX and name.isprintable()


def _is_label(label: object) -> bool:
    """Return whether *label* is a name, or empty: an exchange's may be."""
    return label == "" or _is_name(label)


def _is_none(value: object) -> bool:
    return value is None


def _is_text(text: object) -> bool:
    """Return whether *text* is None or text that can be written to a server."""
    if not isinstance(text, str):
        return text is None
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def _is_count(number: object) -> bool:
    return type(number) is int and 0 <= number < _COUNT_MAX


def _are_limits(limits: object) -> bool:
    """Return whether *limits* are empty, or a hard and a soft one."""
    if not limits:
        return limits is None or isinstance(limits, (list, tuple))
    return isinstance(limits, (list, tuple)) and list(map(_is_limit, limits)) == [True] * 2


def _is_limit(seconds: object) -> bool:
    if isinstance(seconds, bool) or not isinstance(seconds, (int, float)):
        return seconds is None
    return 0 <= seconds <= _LIMIT_MAX


def _is_delay(seconds: object) -> bool:
    """Return whether *seconds* are a number; a caller may have counted below none."""
    return type(seconds) in (int, float) and abs(cast("float", seconds)) <= _LIMIT_MAX


def _or_none(is_one: Callable[[object], bool]) -> Callable[[object], bool]:
    return lambda value: value is None or is_one(value)


def _are_stamps(names: object) -> bool:
    if not names:
        return names is None or isinstance(names, (list, tuple))
    return isinstance(names, (list, tuple)) and all(_is_name(name) and name not in _OPTIONS for name in names)


#: The headers that Celery reads.
FORMS: dict[object, Callable[[Any], bool]] = {
    "task": _is_name,
    "id": _is_name,
    **dict.fromkeys(("lang", "shadow", "group", "taskset", "meth"), _or_none(_is_name)),
    **dict.fromkeys(("root_id", "parent_id", "origin"), _or_none(_is_name)),
    **dict.fromkeys(("argsrepr", "kwargsrepr"), _is_text),
    **dict.fromkeys(("retries", "replaced_task_nesting"), _is_count),
    "group_index": _or_none(_is_count),
    "eta": _or_none(_is_moment),
    "expires": _or_none(_is_moment),
    "timelimit": _are_limits,
    "ignore_result": lambda flag: flag is None or isinstance(flag, bool),
    "stamped_headers": _are_stamps,
    **dict.fromkeys(("stamps", "headers"), _or_none(lambda value: isinstance(value, dict))),
}
#: The options of a link that Celery reads, before it sends the link or outside of any task; None for each.
_LINK_FORMS: dict[str, Callable[[Any], bool]] = {
    **dict.fromkeys(("queue", "exchange", "routing_key", "exchange_type"), _or_none(_is_label)),
    **dict.fromkeys(("task_id", "group_id", "root_id", "parent_id", "reply_to"), _or_none(_is_label)),
    **dict.fromkeys(("shadow", "serializer", "compression"), _or_none(_is_label)),
    **dict.fromkeys(("retries", "group_index", "replaced_task_nesting"), _or_none(_is_count)),
    **dict.fromkeys(("time_limit", "soft_time_limit"), _is_limit),
    "countdown": _or_none(_is_delay),
    "priority": _is_priority,
    "eta": _or_none(_is_moment),
    "expires": lambda expires: expires is None or _is_delay(expires) or _is_moment(expires),
    **dict.fromkeys(("headers", "retry_policy", "stamps"), _or_none(lambda value: isinstance(value, dict))),
    "stamped_headers": _are_stamps,
    **dict.fromkeys(("link", "link_error", "chain", "chord"), _are_links),
    # Objects of the sender, and what Celery gives itself.
    **dict.fromkeys(("producer", "publisher", "connection", "router", "result_cls"), _is_none),
    **dict.fromkeys(("args", "kwargs", "app", "task_type", "declare"), _is_none),
}
