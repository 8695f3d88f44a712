"""Checks the values of options of one message while their caller is there: no worker could take others.

What becomes a header of the message has the form that a worker demands of it (``shape.py``).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from celery.app.task import Context
from kombu import Connection, Producer
from kombu.transport.base import StdChannel

from askonce.adapters.celery.shape import CALLBACKS_MAX, FORMS, is_link, is_small
from askonce.adapters.kombu.compression import is_bounded
from askonce.adapters.kombu.envelope import is_shallow
from askonce.errors import OptionInvalid
from askonce.options import RESERVED_HEADER

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    #: Whether a value can be used, and what it must be.
    Form = tuple[Callable[[Any], bool], str]

#: Levels of a header's value: kombu's own of the message come on top.
HEADER_DEPTH_MAX = 40
#: Levels of a link: those of the message's body come on top.
_LINK_DEPTH_MAX = 250
#: Seconds.
_LONGEST = 86_400
_DELIVERY_MODES = 1, 2, "transient", "persistent"
#: What ``Connection.ensure`` of kombu takes.
_COUNTS, _INTERVALS = {"max_retries"}, {"interval_start", "interval_step", "interval_max"}
_CALLED = {"errback", "on_revive"}


def require_form(option: str, value: object) -> None:
    """Check the *value* of one *option*; one that is checked elsewhere has no form here.

    Raises:
        OptionInvalid: names the option.
    """
    has_form, must = _FORM_OF.get(option, _ANY)
    if not has_form(value):
        raise OptionInvalid(option=option, reason=f"must be {must}")


def require_own_names(headers: Mapping[str, object]) -> None:
    """Refuse *headers* under names that Celery or kombu would take for their own.

    Raises:
        OptionInvalid: names the header.
    """
    for name, value in headers.items():
        if name == RESERVED_HEADER:
            continue
        if name in FORMS or name == "compression" or hasattr(Context, name):
            raise OptionInvalid(option=f"headers.{name}", reason="is a name of Celery's own")
        if not is_shallow(value, HEADER_DEPTH_MAX):
            raise OptionInvalid(option="headers", reason=f"nested deeper than {HEADER_DEPTH_MAX}")


def require_stamp(name: str, value: object) -> None:
    """Check what stands under one name of ``stamped_headers``.

    Raises:
        OptionInvalid: names the stamp.
    """
    if not is_small({name: value}):
        raise OptionInvalid(option=name, reason="is no stamp that a message can carry")


def _is_callback(link: object) -> bool:
    return is_link(link) and is_shallow(link, _LINK_DEPTH_MAX)


def _are_callbacks(links: object) -> bool:
    if not isinstance(links, (list, tuple)):
        return _is_callback(links)
    return len(links) <= CALLBACKS_MAX and all(map(_is_callback, links))


def _is_chain(links: object) -> bool:
    return isinstance(links, (list, tuple)) and all(map(_is_callback, links))


def _is_router(router: object) -> bool:
    return callable(getattr(router, "route", None))


def _is_flag(flag: object) -> bool:
    return isinstance(flag, bool)


def _is_time(seconds: object) -> bool:
    return isinstance(seconds, (int, float)) and not _is_flag(seconds) and 0 <= seconds <= _LONGEST


def _is_delivery_mode(mode: object) -> bool:
    return type(mode) in (int, str) and mode in _DELIVERY_MODES


def _is_policy(policy: object) -> bool:
    return isinstance(policy, dict) and all(_is_of_policy(name, value) for name, value in policy.items())


def _is_of_policy(name: object, value: object) -> bool:
    if name in _COUNTS:
        return value is None or (type(value) is int and value >= 0)
    if name in _INTERVALS:
        return _is_time(value)
    if name in _CALLED:
        return value is None or callable(value)
    return name == "retry_errors" and (value is None or _are_errors(value))


def _are_errors(kinds: object) -> bool:
    return isinstance(kinds, tuple) and all(
        isinstance(kind, type) and issubclass(kind, Exception) for kind in kinds
    )


_ANY: Form = (lambda _: True), ""
_LINE = "one printable line of 1 to 1000 characters"
_COUNT = "a whole number that is not negative"
_FLAG: Form = _is_flag, "True or False"
_TIME: Form = _is_time, f"a number of seconds from 0 to {_LONGEST}"
_PRODUCER: Form = (lambda given: isinstance(given, Producer)), "a Producer of kombu"
_CALLBACKS: Form = _are_callbacks, f"a signature, or a list of at most {CALLBACKS_MAX}"

_FORM_OF: dict[str, Form] = {
    **{name: (FORMS[name], _LINE) for name in ("origin", "parent_id", "root_id", "shadow")},
    "group_id": (FORMS["group"], _LINE),
    "reply_to": (FORMS["origin"], _LINE),
    "route_name": (FORMS["task"], _LINE),
    **{name: (FORMS[name], _COUNT) for name in ("group_index", "replaced_task_nesting", "retries")},
    "ignore_result": (FORMS["ignore_result"], "True or False"),
    "stamped_headers": (FORMS["stamped_headers"], "a list of names, none of which is an option"),
    "stamps": (FORMS["stamps"], "a mapping"),
    "link": _CALLBACKS,
    "link_error": _CALLBACKS,
    "chain": (_is_chain, "a list of signatures"),
    "chord": (_is_callback, "a signature"),
    "router": (_is_router, "an object with the method route"),
    "compression": (is_bounded, "a compression that a worker inflates, such as zlib"),
    "connection": (lambda given: isinstance(given, (Connection, StdChannel)), "a Connection of kombu"),
    "producer": _PRODUCER,
    "publisher": _PRODUCER,
    "delivery_mode": (_is_delivery_mode, "1, 2, transient or persistent"),
    **dict.fromkeys(("immediate", "mandatory", "retry"), _FLAG),
    **dict.fromkeys(("confirm_timeout", "timeout"), _TIME),
    "retry_policy": (_is_policy, "a dict of what kombu's Connection.ensure takes"),
}
