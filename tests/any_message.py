"""Messages with any JSON value in any place, for tests that send them to a worker."""

import base64
import json
import re
from inspect import signature
from itertools import count

from celery import Celery
from celery.app.task import Context
from hypothesis import strategies as st

EMBED = {"callbacks": None, "errbacks": None, "chain": None, "chord": None}
#: Stands for lists within lists, which the encoder of the tests cannot write, or for a text that is too long
#: for a report.
_STANDS = re.compile(r'"\\u0001(deep|long)(\d+)"')
#: Of the payload, so that each message is a job of its own.
numbers = count(10**6)

_texts = st.one_of(
    st.text(st.characters(exclude_categories=()), max_size=20),
    st.sampled_from(["", "add", "linked", "any", "0", "gzip", "base64", "binary", "\ud800"]),
    st.sampled_from(["\1long900", "\1long5000", "\1long300000"]),
)
_scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.sampled_from([10**400, -(10**30), 2**63, -1, 0, 1e999, -1e999, 1e308]),
    st.floats(),
    _texts,
    st.integers(40, 1100).map(lambda levels: f"\1deep{levels}"),
)
_names = st.one_of(_texts, st.sampled_from(["__type__", "__value__", "task", "args", "options", "askonce"]))
#: kombu's JSON reads these as values of other types.
_typed = st.builds(
    lambda kind, value: {"__type__": kind, "__value__": value},
    st.sampled_from(["datetime", "date", "time", "decimal", "uuid", "bytes", "base64", "none"]) | _scalars,
    _scalars,
)
_values = st.recursive(
    _scalars | _typed,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_names, inner, max_size=3),
)
#: The headers that Celery reads, and the names of what its requests have.
_own = st.dictionaries(
    st.sampled_from(["tenant", "run", "force", "max_age", "on_duplicate", "asked_at", "key"]), _values
)
_headers = st.sampled_from(
    [name for name in dir(Context) if not name.startswith("__")]
    + ["task", "id", "lang", "argsrepr", "kwargsrepr", "compression", "headers", "meth", "redelivered"]
)
_properties = st.sampled_from(
    ["correlation_id", "reply_to", "delivery_info", "priority", "body_encoding", "delivery_tag", "type"]
)
_where = st.sampled_from(["exchange", "routing_key", "redelivered", "consumer_tag", "queue"])
_outside = st.sampled_from(["body", "content-type", "content-encoding", "headers", "properties"])
_parts = st.sampled_from([0, 1, 2, "callbacks", "errbacks", "chain", "chord", "id", "delivery_info"])
_changes = st.one_of(
    st.tuples(st.just("header"), _headers | _names, _values),
    st.tuples(st.just("header"), st.just("headers"), st.fixed_dictionaries({"askonce": _own})),
    st.tuples(st.just("property"), _properties | _names, _values),
    st.tuples(st.just("where"), _where | _names, _values),
    st.tuples(st.just("outside"), _outside | _names, _values),
    st.tuples(st.just("body"), _parts, _values),
    st.tuples(st.just("payload"), _names, _values),
)


@st.composite
def changes(draw):
    """Return what is odd in one message."""
    return draw(st.lists(_changes, min_size=1, max_size=3))


#: A link of valid form; its message goes to a queue without a worker.
NOTE = {
    "task": "add",
    "args": [],
    "kwargs": {"n": 1},
    "options": {"queue": "aside"},
    "subtask_type": None,
    "immutable": True,
}
BUILT_IN = [
    f"celery.{name}" for name in ("map", "starmap", "chunks", "accumulate", "chain", "group", "chord")
]
_link_options = st.sampled_from(
    [name for name in signature(Celery.send_task).parameters if name not in ("eta", "countdown")]
    + ["queue", "exchange", "routing_key", "priority", "serializer", "compression", "headers", "retry_policy"]
    + ["task_id", "stamps", "stamped_headers", "exchange_type", "app", "task", "tasks"]
)
#: Only odd ones: a message for later would stay in the worker.
_late_options = st.tuples(st.sampled_from(["eta", "countdown"]), st.sampled_from([{}, [], "x", "\ud800"]))
_kinds = st.sampled_from([None, "chain", "group", "chord", "xmap", "starmap", "chunks", "no", 5, [], {}])
_parts_of_links = st.sampled_from(["tasks", "header", "body", "task", "it", "n"])


def _link_of(kind, options, parts, task):
    return {
        **NOTE,
        "task": task,
        "subtask_type": kind,
        "options": {**NOTE["options"], **dict(options)},
        "kwargs": {**NOTE["kwargs"], **parts},
    }


def _links_with(inner):
    return st.builds(
        _link_of,
        _kinds,
        st.lists(st.tuples(_link_options, _values | inner) | _late_options, max_size=2),
        st.dictionaries(_parts_of_links, _scalars | inner | st.lists(inner, max_size=2), max_size=3),
        st.sampled_from(["add", "kept", "no.such", "celery.map", "celery.chord", "celery.chain"]),
    )


_links = st.recursive(st.just(NOTE), _links_with, max_leaves=3)
_linked = st.one_of(
    st.tuples(
        st.just("body"), st.sampled_from(["callbacks", "errbacks", "chain"]), st.lists(_links, max_size=2)
    ),
    st.tuples(st.just("body"), st.just("chord"), _links),
    st.just(("header", "expires", "2020-01-01T00:00:00")),
    st.just(("header", "group", "gg")),
    st.just(("payload", "n", "x")),
)


@st.composite
def linked(draw):
    """Return what is odd in the links of one message, and about the time when Celery calls them."""
    return draw(st.lists(_linked, min_size=1, max_size=4))


_carried = st.one_of(_values, st.decimals(allow_nan=False), st.datetimes(), st.binary(max_size=9))
_amqp_changes = st.one_of(
    st.tuples(st.just("header"), _headers | _names, _carried),
    st.tuples(
        st.just("option"),
        st.sampled_from(["content_type", "content_encoding", "correlation_id", "reply_to", "type"]),
        _texts,
    ),
    st.tuples(st.just("option"), st.sampled_from(["priority", "delivery_mode"]), st.integers(0, 255)),
    st.tuples(st.just("payload"), _names, _values),
)


@st.composite
def amqp_changes(draw):
    """Return what is odd in one message of AMQP."""
    return draw(st.lists(_amqp_changes, min_size=1, max_size=3))


@st.composite
def values(draw):
    return draw(_values)


def item_of(changed, task="add"):
    """Return the message of a job as kombu writes it into a list, with these changes."""
    body = [[], {"n": next(numbers)}, dict(EMBED)]
    message = {
        "body": "",
        "content-encoding": "utf-8",
        "content-type": "application/json",
        "headers": {"lang": "py", "task": task, "id": f"m-{body[1]['n']}", "retries": 0},
        "properties": {
            "correlation_id": "c",
            "delivery_mode": 2,
            "delivery_info": {"exchange": "", "routing_key": "any"},
            "priority": 0,
            "body_encoding": "base64",
            "delivery_tag": "t",
        },
    }
    places = {
        "header": message["headers"],
        "property": message["properties"],
        "where": message["properties"]["delivery_info"],
        "outside": message,
        "payload": body[1],
    }
    for place, name, value in changed:
        part = places[place] if place in places else body if isinstance(name, int) else body[2]
        if isinstance(part, dict) or isinstance(name, int):
            part[name] = value
    if ("outside", "body") not in [(place, name) for place, name, _ in changed]:
        message["body"] = base64.b64encode(written(body)).decode()
    return written(message)


def written(value):
    """Return *value* as JSON."""
    return _STANDS.sub(_spelled_out, json.dumps(value)).encode()


def _spelled_out(found):
    kind, size = found[1], int(found[2])
    return "[" * size + "]" * size if kind == "deep" else json.dumps("x" * size)
