import json
from dataclasses import replace

import pytest
from redis import Redis

from askonce.adapters.celery import received
from askonce.record import Status
from askonce.spec import JobSpec
from tests.deadlines import stretched
from tests.jobs import new_header, new_job

pytestmark = pytest.mark.integration

EMBED = {"callbacks": None, "errbacks": None, "chain": None, "chord": None}
OURS = "askonce.adapters.kombu.redis:Transport"
HEADERS = {"lang": "py", "task": "add", "id": "m-1"}
JSON = "application/json"
#: What each message is, and the reason for which it is kept.
NO_JOBS = {
    "undecodable body": ({}, b"{not json", JSON, "undecodable"),
    "forbidden content": ({}, b"x", "application/x-python-serialize", "undecodable"),
    "number": ({}, b"471147", JSON, "invalid_task"),
    "too short a list": ({}, b"[[],{}]", JSON, "invalid_task"),
    "arguments no object": ({}, b"[[],[],{}]", JSON, "invalid_task"),
    "id no text": ({"id": 7}, b"[[],{},{}]", JSON, "invalid_task"),
    "time no time": ({"eta": "soon"}, b"[[],{},{}]", JSON, "invalid_task"),
    "empty time": ({"eta": ""}, b"[[],{},{}]", JSON, "invalid_task"),
    "expiry an object": ({"expires": {}}, b"[[],{},{}]", JSON, "invalid_task"),
    "one limit": ({"timelimit": [1]}, b"[[],{},{}]", JSON, "invalid_task"),
    "limit no number": ({"timelimit": ["1", None]}, b"[[],{},{}]", JSON, "invalid_task"),
    "stamps no list": ({"stamped_headers": 5}, b"[[],{},{}]", JSON, "invalid_task"),
    "stamp no text": ({"stamped_headers": [{}]}, b"[[],{},{}]", JSON, "invalid_task"),
    "body without arguments": ({}, b'{"task":"add","id":"m-1"}', JSON, "invalid_task"),
    "unknown task": ({"task": "no.such"}, b"[[],{},{}]", JSON, "unknown_task"),
    "invalid payload": ({}, b"[[1,2,3],{},{}]", JSON, "invalid_payload"),
}


#: The same in Celery's first protocol.
OLD_ETA = b'{"task":"add","id":"m-1","args":[1],"kwargs":{},"eta":""}'
#: Items whose tag kombu could not give back to the server.
ODD_TAGS = [
    b'{"body":"","properties":{"delivery_tag":%b,"delivery_info":{"exchange":"","routing_key":"letters"}}}'
    % tag
    for tag in (b"{}", b"null", b'"\\ud800"')
]


@pytest.fixture(scope="module")
def letters(new_shop):
    """An app on our own transport, and its worker."""
    shop = new_shop("letters", broker_transport=OURS)
    with shop.worker():
        yield shop


@pytest.fixture
def shop(letters):
    letters.heard.clear()
    return letters.without_letters()


def publish(shop, headers, body, content_type=JSON):
    with shop.app.producer_or_acquire() as producer:
        producer.publish(
            body,
            routing_key=shop.app.main,
            headers={**HEADERS, **headers},
            content_type=content_type,
            content_encoding="utf-8",
        )


def works_on(shop, number, eventually):
    """Tell whether the worker answers and has dealt with every message."""
    assert number + 1 == shop.add.enqueue({"n": number}).result(stretched(20)).value
    eventually(shop.drained, 20)


@pytest.mark.parametrize("what", NO_JOBS)
def test_message_that_is_no_job_is_kept_and_the_worker_goes_on(shop, number, eventually, what):
    headers, body, content_type, reason = NO_JOBS[what]

    publish(shop, headers, body, content_type)
    eventually(shop.store.letters.dead_messages, 20)
    works_on(shop, number, eventually)

    [letter] = shop.store.letters.dead_messages()
    assert (reason, "letters") == (letter.reason, letter.queue)
    assert letter.whole
    assert reason == "invalid_payload" or body == letter.body
    assert 1 == [event.name for event in shop.heard].count(f"message.{reason}")
    told = [event.data for event in shop.heard if event.name.startswith("message.")]
    assert body == b"x" or body.decode() not in repr(told)


@pytest.mark.parametrize("body", [b'{"task":"add"}', b'{"task":[],"id":"m-1"}', OLD_ETA])
def test_message_of_the_first_protocol_that_is_no_job_is_kept(shop, number, eventually, body):
    with shop.app.producer_or_acquire() as producer:
        producer.publish(body, routing_key="letters", content_type=JSON, content_encoding="utf-8")
    eventually(shop.store.letters.dead_messages, 20)
    works_on(shop, number, eventually)

    [letter] = shop.store.letters.dead_messages()
    assert ("invalid_task", body) == (letter.reason, letter.body)


def test_message_of_the_first_protocol_is_run(shop, number, eventually):
    body = json.dumps({"task": "add", "id": "m-1", "args": [number], "kwargs": {}, "timelimit": [9, None]})

    with shop.app.producer_or_acquire() as producer:
        producer.publish(body.encode(), routing_key="letters", content_type=JSON, content_encoding="utf-8")

    eventually(lambda: shop.calls.of(number), 20)
    eventually(shop.drained, 20)
    assert [] == shop.store.letters.dead_messages()


@pytest.mark.parametrize(
    "item", [b"garbage", b"\xff\x00", b"7", b"{}", b'{"properties":{}}', b"[1", *ODD_TAGS]
)
def test_item_that_is_no_message_is_kept_and_the_worker_goes_on(shop, tcp_server, number, eventually, item):
    with Redis.from_url(tcp_server.url) as client:
        client.lpush("letters:letters", item)

    eventually(shop.store.letters.dead_messages, 20)
    works_on(shop, number, eventually)

    [letter] = shop.store.letters.dead_messages()
    assert ("garbage", item, "letters") == (letter.reason, letter.body, letter.queue)


def test_dead_message_that_the_store_refuses_comes_back(shop, number, eventually, monkeypatch):
    from askonce.adapters.celery import letters as celery_letters
    from askonce.errors import StoreUnavailable

    tried, keep = [], shop.store.letters.keep

    def refuse_once(letter):
        tried.append(letter)
        if len(tried) == 1:
            raise StoreUnavailable(verb="letters", reason="TimeoutError")
        keep(letter)

    monkeypatch.setattr(celery_letters, "UNKEPT_REST", 0.1)
    monkeypatch.setattr(type(shop.store.letters), "keep", lambda _self, letter: refuse_once(letter))

    publish(shop, {"task": "no.such"}, b"[[],{},{}]")
    eventually(shop.store.letters.dead_messages, 20)
    eventually(shop.drained, 20)

    assert 2 == len(tried)
    assert 1 == len(shop.store.letters.dead_messages())
    assert "message.unkept" in [event.name for event in shop.heard]


def test_job_whose_task_is_unknown_here_stays_on_its_record(shop, number, eventually):
    spec = JobSpec(name="not.here.yet")
    asked = shop.once.producer.enqueue(spec, {"n": number})

    eventually(lambda: "message.unknown_task" in shop.names(asked.job), 20)
    eventually(shop.drained, 20)

    assert [] == shop.store.letters.dead_messages()
    assert Status.QUEUED is shop.store.read([asked.key])[0].status
    shop.store.invalidate(asked.key)


def test_long_name_of_an_unknown_task_is_cut_in_its_event(shop, eventually):
    header = new_header(new_job("0a" * 32, fingerprint="0b" * 32))
    names = {"task": "x" * 900, "id": "y" * 900}

    publish(shop, {"headers": {"askonce": header}, **names}, b"[[],{},{}]")
    eventually(lambda: shop.heard, 20)
    eventually(shop.drained, 20)

    [event] = [event for event in shop.heard if event.name == "message.unknown_task"]
    assert ("x" * 200, "y" * 200) == (event.task, event.job)


def test_header_of_another_payload_runs_and_writes_nothing(shop, number, eventually):
    victim = shop.add.enqueue({"n": number})
    victim.result(stretched(20))
    before = shop.store.read([victim.key])[0]
    header = new_header(new_job(victim.key, victim.job, fingerprint=before.fingerprint))
    body = json.dumps([[], {"n": number + 1, "more": 1}, EMBED]).encode()

    publish(shop, {"headers": {"askonce": header}, "id": victim.job}, body)
    eventually(shop.store.letters.dead_messages, 20)
    eventually(shop.drained, 20)

    [letter] = shop.store.letters.dead_messages()
    assert "identity_mismatch" == letter.reason
    assert [] == shop.calls.of(number + 1)
    after = shop.store.read([victim.key])[0]
    assert (before.fence, before.value.data) == (after.fence, after.value.data)
    assert "askonce" not in json.loads(letter.about)["headers"]


def test_job_of_a_tenant_runs_and_is_found_under_its_key(shop, number):
    asked = shop.add.enqueue({"n": number}, tenant='acme"é')

    assert number + 1 == asked.result(stretched(20)).value
    assert asked.key != shop.add.enqueue({"n": number}).key


def test_job_of_another_version_is_not_run_and_not_lost(shop, number, eventually, monkeypatch):
    monkeypatch.setattr(received, "_OTHER_VERSION_REST", 0.1)
    other = replace(shop.add.job_spec, version="2")

    asked = shop.once.producer.enqueue(other, {"n": number, "more": 1})
    eventually(lambda: "message.other_version" in shop.names(asked.job), 30)
    eventually(shop.drained, 20)

    assert [] == shop.calls.of(number)
    assert [] == shop.store.letters.dead_messages()
    assert Status.QUEUED is shop.store.read([asked.key])[0].status
    shop.store.invalidate(asked.key)
