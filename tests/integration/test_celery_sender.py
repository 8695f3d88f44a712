import ast
import base64
import json

import pytest
from celery import Celery, signals
from redis import Redis

from askonce.adapters.celery import IdempotentTask
from askonce.adapters.celery.header import HEADER
from askonce.adapters.celery.sender import CelerySender
from askonce.errors import PayloadInvalid, SendFailed
from askonce.message import Message
from askonce.spec import JobSpec
from tests.jobs import new_job

pytestmark = pytest.mark.integration

MARKER = "hunter2-of-ana-souza"
KEY, FINGERPRINT, JOB = "0a" * 32, "0b" * 32, "0c0c0c0c-0000-4000-8000-000000000000"
#: What differs between any two messages.
OWN = {"id", "root_id", "origin", "argsrepr", "kwargsrepr"}


class Wire:
    """One message as it lies on the broker."""

    def __init__(self, raw):
        message = json.loads(raw)
        self.headers, self.properties = message["headers"], message["properties"]
        self.content = (message["content-type"], message["content-encoding"])
        self.body = json.loads(base64.b64decode(message["body"]))
        self.text = raw.decode() + base64.b64decode(message["body"]).decode()


@pytest.fixture
def broker(tcp_server):
    with Redis.from_url(tcp_server.url) as client:
        client.flushall()
        yield client


@pytest.fixture
def app(tcp_server, broker):
    app = Celery("sending", broker=tcp_server.url, set_as_current=False)
    app.conf.update(task_default_queue="jobs", task_ignore_result=True)
    yield app
    app.close()


@pytest.fixture
def taken(broker):
    """Take the message out of a queue."""
    return lambda queue="jobs": Wire(broker.lpop(queue))


def message(payload=b'{"currency":"BRL","note":"\xc3\xa9 %s"}', **job):
    known = new_job(KEY, JOB, task="rates.fetch", payload=payload, fingerprint=FINGERPRINT)
    return Message(known._replace(**job))


def rates_fetch(**payload):
    return payload


def test_message_is_what_celery_would_send_and_our_header(app, taken):
    task = app.task(name="rates.fetch", shared=False)(rates_fetch)
    payload = {"currency": "BRL", "note": "é %s"}
    task.apply_async(kwargs=payload, task_id=JOB)
    theirs = taken()

    CelerySender(app).send(message())
    ours = taken()

    assert ours.headers.keys() == theirs.headers.keys() | {"headers"}
    assert {k: v for k, v in ours.headers.items() if k not in OWN | {"headers"}} == {
        k: v for k, v in theirs.headers.items() if k not in OWN
    }
    assert (ours.headers["id"], ours.headers["root_id"]) == (JOB, JOB)
    assert (
        ours.body == theirs.body == [[], payload, dict.fromkeys(("callbacks", "errbacks", "chain", "chord"))]
    )
    assert ours.content == theirs.content
    assert ours.properties.keys() == theirs.properties.keys()
    varying = {"delivery_tag", "reply_to"}
    assert {k: v for k, v in ours.properties.items() if k not in varying} == {
        k: v for k, v in theirs.properties.items() if k not in varying
    }


def test_identity_travels_in_the_header(app, taken):
    CelerySender(app).send(message())

    assert taken().headers["headers"][HEADER] == {
        "key": KEY,
        "fingerprint": FINGERPRINT,
        "version": "1",
        "tenant": "",
        "run": "",
        "admitted_at": 0,
        "sent_at": 0,
    }


def test_what_monitors_show_holds_no_payload(app, taken):
    CelerySender(app).send(message(payload=json.dumps({"note": MARKER}).encode()))

    sent = taken()

    assert sent.body[1] == {"note": MARKER}
    assert MARKER not in json.dumps([sent.headers, sent.properties])
    assert (sent.headers["argsrepr"], sent.headers["kwargsrepr"]) == ("()", f"{{'key': '{KEY[:16]}'}}")


def test_monitors_show_tenant_run_and_the_ids_that_a_spec_names(app, taken):
    CelerySender(app).send(message(tenant="it's", run="night", shown=(("currency", "BRL"), ("n", 7))))

    shown = {"tenant": "it's", "key": KEY[:16], "run": "night", "currency": "BRL", "n": 7}
    assert ast.literal_eval(taken().headers["kwargsrepr"]) == shown


def test_what_monitors_show_of_an_own_message_holds_no_payload(new_shop, broker):
    shop = new_shop("held")
    shop.add.apply_async((MARKER,), shadow="another name")

    sent = Wire(broker.lpop("held:held"))

    assert MARKER not in json.dumps([sent.headers, sent.properties])


def test_large_payload_is_sent_as_it_is(app, taken):
    text = '%s {} \\ " é \u2028' * 20_000
    CelerySender(app).send(message(payload=json.dumps({"text": text}).encode()))

    assert taken().body[1] == {"text": text}


def test_task_is_sent_to_the_queue_that_its_route_names(app, broker, taken):
    app.conf.task_routes = {"rates.*": {"queue": "slow"}}
    CelerySender(app).send(message())

    assert broker.llen("jobs") == 0
    assert taken("slow").properties["delivery_info"]["routing_key"] == "slow"


def test_route_may_be_a_function(app, taken):
    app.conf.task_routes = (lambda name, *_, **__: {"queue": f"for-{name}"},)
    CelerySender(app).send(message())

    assert taken("for-rates.fetch").headers["task"] == "rates.fetch"


@pytest.mark.parametrize(
    "enqueue",
    [
        lambda task, n: task.enqueue({"n": n}),
        lambda task, n: task.delay(n),
        lambda task, n: task.enqueue({"n": n}, headers={"trace": "1"}),
        lambda task, n: task.apply_async((n,), retry=False),
    ],
    ids=["one step", "delay", "two steps", "own publish"],
)
def test_route_that_is_a_function_gets_the_payload(new_shop, number, enqueue):
    shop, seen = new_shop(f"routed-{number}"), []

    def route(name, args, kwargs, _options, task=None):
        seen.append((name, args, kwargs, task.name))
        return {"queue": f"{shop.app.main}-{kwargs['n'] % 2}"}

    shop.app.conf.task_routes = (route,)
    for n in (number, number + 1):
        key = enqueue(shop.add, n).key
        assert f"{shop.app.main}-{n % 2}" == shop.store.read([key])[0].routing.queue

    assert [("add", (), {"n": n, "more": 1}, "add") for n in (number, number + 1)] == seen
    with Redis.from_url(shop.server.url) as broker:
        assert [1, 1] == [broker.llen(f"{shop.app.main}:{shop.app.main}-{each}") for each in (0, 1)]


def test_queue_that_a_caller_names_wins_over_the_routes(new_shop, number):
    shop = new_shop(f"named-{number}")
    shop.app.conf.task_routes = (lambda *_, **__: {"queue": "by-the-route"},)

    asked = shop.add.enqueue({"n": number}, queue="by-the-caller")

    assert "by-the-caller" == shop.store.read([asked.key])[0].routing.queue


@pytest.mark.parametrize(
    "kept", [{"ad*": {"queue": "slow"}}, lambda *_, **__: {"queue": "slow"}], ids=["dict", "function"]
)
def test_routed_task_is_sent_in_one_step(new_shop, number, commands, kept):
    shop = new_shop(f"one-step-{number}")
    shop.app.conf.task_routes = (kept,)
    shop.add.enqueue({"n": number})

    assert ["publish"] == commands(lambda: shop.add.enqueue({"n": number + 1}))


@pytest.mark.parametrize("path", ["n", "n.deep[1]"])
def test_object_that_kombu_would_read_as_another_type_is_refused(new_shop, number, path):
    shop, typed = new_shop(f"typed-{number}"), {"__type__": "uuid", "__value__": "x"}
    payload = typed if path == "n" else {"deep": [number, typed]}

    for way in (lambda: shop.add.delay(payload), lambda: shop.add.apply_async((payload,), shadow="x")):
        with pytest.raises(PayloadInvalid) as refused:
            way()
        assert path == refused.value.field


def test_priority_of_the_route_is_respected(app, broker, taken):
    app.conf.task_routes = {"rates.*": {"priority": 6}}
    CelerySender(app).send(message())

    [queue] = [name.decode() for name in broker.keys("jobs*")]
    assert queue != "jobs"
    assert taken(queue).properties["priority"] == 6


def test_time_limits_of_the_task_travel_with_the_message(app, taken):
    app.task(name="rates.fetch", shared=False, time_limit=75, soft_time_limit=60)(rates_fetch)
    CelerySender(app).send(message())

    assert taken().headers["timelimit"] == [75, 60]


@pytest.mark.parametrize("ignored", [True, False])
def test_wish_for_a_result_travels_with_the_message(app, taken, ignored):
    app.conf.task_ignore_result = ignored
    CelerySender(app).send(message())

    assert taken().headers["ignore_result"] is ignored


def test_task_without_a_spec_of_the_sender_is_sent_by_name(app, taken):
    assert "rates.fetch" not in app.tasks

    CelerySender(app).send(message())

    assert taken().headers["task"] == "rates.fetch"


def test_message_sent_within_a_task_names_its_parent(app, taken):
    inner = CelerySender(app)
    outer = app.task(name="outer", shared=False)(sending(inner))

    outer.apply(task_id="parent-1")

    headers = taken().headers
    assert (headers["id"], headers["parent_id"], headers["root_id"]) == (JOB, "parent-1", "parent-1")


def sending(sender):
    def outer():
        sender.send(message())

    return outer


def test_celerys_signals_are_sent(app, taken):
    heard = []

    def before(sender=None, headers=None, **_):
        heard.append((sender, headers["id"]))

    signals.before_task_publish.connect(before)
    try:
        CelerySender(app).send(message())
    finally:
        signals.before_task_publish.disconnect(before)

    assert heard == [("rates.fetch", JOB)]


def test_failed_sending_names_key_and_job(tmp_path):
    app = Celery("nowhere", broker=f"redis+socket://{tmp_path}/none?virtual_host=0", set_as_current=False)
    app.conf.task_publish_retry_policy = {"max_retries": 1, "interval_start": 0, "interval_max": 0}

    with pytest.raises(SendFailed) as caught:
        CelerySender(app).send(message())

    assert (caught.value.key, caught.value.job) == (KEY, JOB)
    assert "BRL" not in str(caught.value)


def test_broker_that_refuses_a_message_has_not_taken_it(app, broker):
    broker.set("jobs", "no list")

    with pytest.raises(SendFailed) as caught:
        CelerySender(app).send(message())

    assert (caught.value.key, caught.value.job) == (KEY, JOB)


def test_idempotent_task_stores_no_result_by_default(app, taken):
    app.task(name="rates.fetch", base=IdempotentTask, spec=JobSpec(), shared=False)(rates_fetch)
    app.conf.task_ignore_result = False
    CelerySender(app).send(message())

    assert taken().headers["ignore_result"] is True
