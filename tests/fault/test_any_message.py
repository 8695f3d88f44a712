import bz2
import json
import lzma
import zlib
from base64 import b64encode

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from askonce.key import identify
from askonce.spec import JobSpec
from sandbox.valkey import Valkey
from tests.any_message import BUILT_IN, NOTE, changes, item_of, linked, numbers, values, written
from tests.deadlines import eventually
from tests.fault.any_stage import Stage
from tests.jobs import new_header

pytestmark = [
    pytest.mark.fault,
    pytest.mark.redis_broker("writes kombu's own items into a list"),
    pytest.mark.long,
]

OURS = "askonce.adapters.kombu.redis:Transport"
#: A worker that ended would fail every smaller example too.
unshrunk = settings(phases=(Phase.explicit, Phase.generate))
POOLS = ["threads", pytest.param("prefork", marks=pytest.mark.long)]


def typed(kind):
    return {"__type__": kind, "__value__": "x"}


#: What each message has, and how it ends.
ODD = {
    "no body": ([("outside", "body", None)], "message.invalid_task"),
    "type that kombu does not know": (
        [("header", "x", typed("x"))],
        "message.garbage",
    ),
    "decimal that is none": ([("where", "x", typed("decimal"))], "message.garbage"),
    "tag of a consumer": ([("where", "consumer_tag", {})], "message.garbage"),
    "exchange that is not there": ([("where", "exchange", "nowhere")], "add"),
    "key of another queue": ([("where", "routing_key", "another")], "add"),
    "priority without end": ([("property", "priority", 1e999)], "message.garbage"),
    "priority below none": ([("property", "priority", -1)], "message.invalid_task"),
    "deep header": ([("header", "x", "\1deep400")], "message.garbage"),
    "deep field": ([("outside", "x", "\1deep400")], "message.garbage"),
    "deep body": ([("payload", "n", "\1deep600")], "message.invalid_task"),
    "long name": ([("header", "id", "\1long5000")], "message.invalid_task"),
    "name of two lines": ([("header", "id", "a\nb")], "message.invalid_task"),
    "half a character": ([("header", "root_id", "\ud800")], "message.invalid_task"),
    "long header": ([("header", "x", "\1long300000")], "message.invalid_task"),
    "time at the end of the calendar": ([("header", "eta", "9999-12-31T23:59:59")], "message.invalid_task"),
    "time that is over": ([("header", "eta", "2020-01-01T00:00:00")], "add"),
    "expired": ([("header", "expires", "2020-01-01T00:00:00")], "add"),
    "limit without end": ([("header", "timelimit", [1e999, None])], "message.invalid_task"),
    "limit below none": ([("header", "timelimit", [-1, None])], "message.invalid_task"),
    "retries below none": ([("header", "retries", -1)], "message.invalid_task"),
    "method of the request": ([("header", "get", 5)], "message.invalid_task"),
    "links as a header": ([("header", "callbacks", [{}])], "message.invalid_task"),
    "request in the body": ([("body", "delivery_info", {})], "message.invalid_task"),
    "stamp that is an option": (
        [("header", "stamped_headers", ["link"]), ("header", "stamps", {"link": []})],
        "message.invalid_task",
    ),
    "stamps": ([("header", "stamped_headers", ["who"]), ("header", "stamps", {"who": ["x"]})], "add"),
    "header of a caller": ([("header", "traceparent", {"a": ["00", 1.5, None]})], "add"),
}


@pytest.fixture(scope="module", params=POOLS)
def stage(request, tmp_path_factory):
    with Valkey(tcp=True) as server:
        env = {"ANY_BROKER_URL": server.url, "ANY_TRANSPORT": OURS}
        with Stage(server.url, tmp_path_factory.mktemp("any"), env).worker(request.param) as stage:
            yield stage


@pytest.fixture(scope="module", params=POOLS)
def canvas_stage(request, tmp_path_factory):
    """A worker that keeps Celery's results too, and calls links."""
    with Valkey(tcp=True) as server:
        env = {"ANY_BROKER_URL": server.url, "ANY_TRANSPORT": OURS, "ANY_BACKEND": server.url}
        with Stage(server.url, tmp_path_factory.mktemp("any"), env).worker(request.param) as stage:
            yield stage


def begin_chord(stage):
    """Let a chord of one part be in flight."""
    stage.client.set("celery-taskset-meta-gg.s", 1)


@unshrunk
@given(changed=st.lists(changes(), min_size=1, max_size=8))
def test_worker_outlives_any_value_in_any_place(stage, changed):
    outcomes = stage.end(*(item_of(each, task) for each in changed for task in ("add", "linked")))

    assert 2 * len(changed) == len(outcomes)


@unshrunk
@given(items=st.lists(st.binary() | values().map(written), min_size=1, max_size=8))
def test_worker_outlives_any_item(stage, items):
    assert len(items) == len(stage.end(*items))


@pytest.mark.parametrize("what", ODD)
def test_odd_message_is_a_dead_letter_or_runs(stage, what):
    changed, outcome = ODD[what]

    assert [outcome] == stage.end(item_of(changed))


SIZE = 64 << 20


def packed(compression, body):
    encoded = b64encode(body).decode()
    return item_of([("outside", "body", encoded), ("header", "compression", compression)])


@pytest.mark.parametrize("compression", ["gzip", "bzip2", "xz"])
def test_compressed_message_is_inflated_within_bounds_only(stage, compression):
    compress = {"gzip": zlib.compress, "bzip2": bz2.compress, "xz": lzma.compress}[compression]
    small = json.dumps([[], {"n": next(numbers)}, {}]).encode()

    assert ["add"] == stage.end(packed(compression, compress(small)))
    assert ["message.undecodable"] == stage.end(packed(compression, compress(small + b" " * SIZE)))
    assert ["message.undecodable"] == stage.end(packed(compression, compress(small)[:-9]))


#: Tasks that call the links of their messages.
CALLING = ["kept", "plain", "linked", "celery.map", "celery.accumulate", "celery.chain"]


@settings(phases=(Phase.explicit, Phase.generate), max_examples=40)
@given(changed=st.lists(linked(), min_size=1, max_size=4))
def test_worker_outlives_any_link(canvas_stage, changed):
    begin_chord(canvas_stage)

    canvas_stage.end(*(item_of(each, task) for each in changed for task in CALLING), calling=True)


@settings(phases=(Phase.explicit, Phase.generate), max_examples=20)
@given(changed=st.lists(changes(), min_size=1, max_size=4))
def test_tasks_of_celery_outlive_any_value(canvas_stage, changed):
    begin_chord(canvas_stage)

    canvas_stage.end(*(item_of(each, task) for each in changed for task in BUILT_IN), calling=True)


@pytest.mark.parametrize("task", ["kept", "plain"])
@pytest.mark.parametrize(
    "odd",
    [
        {"subtask_type": "chord"},
        {"subtask_type": 5},
        {"subtask_type": "chain"},
        {"subtask_type": "group", "kwargs": {"tasks": 5}},
        {"subtask_type": "chunks"},
    ],
    ids=["chord", "5", "chain", "group", "chunks"],
)
def test_chord_that_celery_cannot_build_ends_no_worker_that_drops_its_part(canvas_stage, odd, task):
    begin_chord(canvas_stage)
    late = [("header", "expires", "2020-01-01T00:00:00"), ("header", "group", "gg")]

    outcomes = canvas_stage.end(item_of([("body", "chord", {**NOTE, **odd, "task": "kept"}), *late], task))

    assert ["message.invalid_task"] == outcomes


#: Options of links that Celery fails on only when it sends the link.
UNSENDABLE = {
    "serializer": "no.such",
    "compression": "no.such",
    "retry_policy": {"max_retries": "x"},
    "headers": {"stamped_headers": 5},
}


@pytest.mark.parametrize("option", UNSENDABLE)
def test_error_link_that_cannot_be_sent_holds_no_message(canvas_stage, option):
    link = {**NOTE, "kwargs": {}, "args": [1], "options": {"queue": "aside", option: UNSENDABLE[option]}}
    fails = ("payload", "n", "x"), ("body", "errbacks", [{**link, "task": "no.such"}])

    canvas_stage.end(*(item_of(fails, task) for task in ("plain", "celery.map") * 2), calling=True)


@pytest.mark.parametrize("task", ["celery.map", "plain", "linked"])
@pytest.mark.parametrize("option", ["queue", "routing_key", "task_id", "priority", "headers", "eta", "link"])
def test_link_with_an_option_of_another_type_is_a_dead_letter(canvas_stage, option, task):
    link = {**NOTE, "options": {option: 5.5}}
    fails = ("payload", "n", "x"), ("body", "errbacks", [link])

    assert ["message.invalid_task"] * 3 == canvas_stage.end(*[item_of(fails, task)] * 3)


@pytest.mark.parametrize("name", ["callbacks", "errbacks", "chain", "chord"])
def test_link_of_a_task_that_takes_none_is_a_dead_letter(stage, name):
    links = NOTE if name == "chord" else [NOTE]

    assert ["message.link_refused"] == stage.end(item_of([("body", name, links)]))


@pytest.mark.parametrize(
    ("links", "outcome"),
    [
        ([NOTE] * 101, "message.link_refused"),
        (["add"], "message.invalid_task"),
        ([{**NOTE, "options": []}], "message.invalid_task"),
        ({}, "linked"),
    ],
    ids=["too many", "names", "options a list", "none"],
)
def test_links_of_a_task_that_takes_them_are_checked(stage, links, outcome):
    assert [outcome] == stage.end(item_of([("body", "callbacks", links)], "linked"))


@pytest.mark.parametrize(
    "sent", [b"garbage", b"7", b"{}", b'{"properties":{}}', b'{"__type__":1,"__value__":2}']
)
def test_worker_outlives_what_is_sent_to_all_workers(stage, sent):
    # After an odd one, a worker subscribes anew.
    eventually(lambda: stage.client.publish("/0.celery.pidbox", sent))

    assert [] == stage.end()


FORGED = {
    "key of another": ({"key": "0" * 64}, ["message.identity_mismatch"]),
    "payload of another": ({"fingerprint": "0" * 64}, ["message.identity_mismatch"]),
    "tenant of another": ({"tenant": "another"}, ["message.identity_mismatch"]),
    "long tenant": ({"tenant": "x" * 100_000}, ["message.identity_mismatch"]),
    "long job": ({"job": "x" * 100_000}, []),
    "time that no server has": ({"admitted_at": 10**400, "sent_at": -(10**400)}, []),
    "run of two lines": ({"run": "a\nb"}, ["message.invalid_option"]),
    "number for a key": ({"key": 5}, ["message.invalid_option"]),
    "one more field": ({"more": 1}, ["message.invalid_option"]),
}


@pytest.mark.parametrize("what", FORGED)
def test_forged_header_is_at_most_one_event_and_no_traceback(stage, what):
    changes, events = FORGED[what]
    job = identify(JobSpec(name="add"), {"n": next(numbers)})
    header = {"askonce": {**new_header(job), **changes}}
    stage.client.delete("other")

    stage.end(item_of([("payload", "n", json.loads(job.payload)["n"]), ("header", "headers", header)]))

    assert events == stage.client.lrange("other", 0, -1)
    assert "Traceback" not in stage.log()


def test_log_has_no_body_and_no_traceback(stage):
    odd = [("body", 1, "geheim-4711")], [("header", "eta", "geheim-4711")], [("payload", "x", "geheim-4711")]

    stage.end(b"geheim-4711", *map(item_of, odd))

    assert "geheim" not in stage.log()
    assert "Traceback" not in stage.log()
