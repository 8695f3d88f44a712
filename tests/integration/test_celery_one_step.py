import json
from dataclasses import replace

import pytest
from celery import Celery, signals
from kombu import Exchange, Queue
from redis import Redis

from askonce.adapters.celery.one_step import OneStep, address, new_producer
from askonce.adapters.celery.sender import CelerySender
from askonce.adapters.redis import RedisStore
from askonce.claim import Claim, Terms
from askonce.errors import RecordDamaged, StoreUnavailable
from askonce.lost import Budget, Delivered
from askonce.outcomes import Admitted, Attached, Hit
from askonce.spec import JobSpec
from sandbox.valkey import Valkey
from tests.integration.two_producers import PAYLOADS, comparable
from tests.jobs import ANSWER, TTL, new_claim, new_job, new_lease
from tests.servers.proxy import Proxy

pytestmark = pytest.mark.integration


@pytest.mark.parametrize(
    "conf",
    [
        {},
        {"broker_transport": "askonce.adapters.kombu.redis:Transport"},
        {"broker_transport_options": {"global_keyprefix": "{shop}:"}},
        {"task_routes": {"rates.fetch": {"queue": "rates", "priority": 6}}},
        {"task_default_priority": 3, "broker_transport_options": {"priority_steps": [0, 3]}},
    ],
    ids=["plain", "our transport", "prefix", "route", "priority"],
)
@pytest.mark.parametrize("payload", PAYLOADS, ids=range(len(PAYLOADS)))
def test_message_is_the_one_that_kombu_would_send(new_scene, conf, payload):
    scene = new_scene(**conf)

    job = "0c0c0c0c-0000-4000-8000-000000000000"
    to, theirs = scene.sent(scene.two_steps, payload, job=job)
    queue, ours = scene.sent(scene.one_step, payload, job=job)

    assert (to, comparable(theirs)) == (queue, comparable(ours))
    assert scene.template() is not None
    assert json.loads(ours["body"])[1] == payload


def test_every_message_has_its_own_tag(scene):
    tags = set()
    for number in range(20):
        _, message = scene.sent(scene.one_step, {"n": number})
        tags.add(message["properties"]["delivery_tag"])

    assert len(tags) == 20


def test_duplicate_sends_no_message(scene):
    first = scene.one_step.enqueue(scene.spec, {"n": 1})
    scene.messages()

    again = scene.one_step.enqueue(scene.spec, {"n": 1})

    assert (type(again), again.job) == (Attached, first.job)
    assert scene.messages() == []


def test_kept_answer_sends_no_message(scene):
    asked = scene.one_step.enqueue(scene.spec, {"n": 1})
    lease, fingerprint = new_lease(asked.key), scene.store.read([asked.key])[0].fingerprint
    scene.store.start(new_job(asked.key, asked.job, fingerprint=fingerprint), lease)
    scene.store.complete(lease, ANSWER, TTL)
    scene.messages()

    assert isinstance(scene.one_step.enqueue(scene.spec, {"n": 1}), Hit)
    assert scene.messages() == []


def test_claim_repeated_after_a_lost_reply_sends_one_message(scene):
    publish = scene.one_step.publish
    claim = Claim(new_job("0a" * 32, task=scene.spec.name, fingerprint="0b" * 32), Terms.of(scene.spec))

    replies = [publish.admit(claim) for _ in range(3)]

    assert {reply.outcome.value for reply in replies} == {"admitted"}
    assert len(scene.messages()) == 1


def test_other_payload_under_the_same_id_sends_its_message(scene):
    for day in (1, 2):
        asked = scene.one_step.enqueue(
            replace(scene.spec, key_fields=("n",)), {"n": 1, "day": day}, job="mine"
        )
        assert (type(asked), asked.job) == (Admitted, "mine")

    bodies = [comparable(message)["body"] for message in scene.take()]

    assert [1, 2] == sorted(json.loads(body)[1]["day"] for body in bodies)


def test_broker_that_is_away_at_first_gets_one_step_later(scene, tcp_server):
    with Proxy(tcp_server.port) as proxy:
        app = Celery("away", broker=f"redis://127.0.0.1:{proxy.port}/0", set_as_current=False)
        app.conf.update(task_default_queue="jobs")
        publish = OneStep(app, scene.store, scene.store.pusher, CelerySender(app))
        with proxy.refusing():
            away = publish.admit(new_claim("0a" * 32, task="rates.fetch"))

        resting = publish.admit(new_claim("0b" * 32, task="rates.fetch"))
        publish._try_at = 0.0
        back = publish.admit(new_claim("0c" * 32, task="rates.fetch"))
        app.close()

    assert [False, False, True] == [each.sent for each in (away, resting, back)]
    assert len(scene.messages()) == 1


def delivered(scene, key):
    """Report that the queue is empty; return the record."""
    scene.store.reap([int(key[:2], 16)], [Delivered("jobs", seconds=0.0)], Budget(jobs=0))
    return scene.store.read([key])[0]


def test_lost_message_is_sent_again_under_the_id_of_its_job(scene, eventually):
    spec = replace(scene.spec, queue_deadline=0.001)
    first = scene.one_step.enqueue(spec, {"n": 1})
    scene.messages()
    eventually(lambda: scene.store.read([first.key])[0].deadline_in < 0)
    eventually(lambda: delivered(scene, first.key).lost)

    again = scene.one_step.enqueue(spec, {"n": 1})

    assert again.job == first.job
    [(_, message)] = scene.messages()
    assert message["headers"]["id"] == first.job


@pytest.mark.parametrize(
    "conf",
    [
        {"task_compression": "gzip", "task_serializer": "json"},
        {
            "task_queues": [Queue("jobs", Exchange("shop", type="topic"), routing_key="jobs.#")],
            "task_default_exchange": "shop",
            "task_default_exchange_type": "topic",
            "task_default_routing_key": "jobs.a",
        },
        {"task_queues": [Queue("brief", expires=60.0)], "task_default_queue": "brief"},
    ],
    ids=["compressed", "exchange", "expires"],
)
def test_message_that_is_more_than_a_list_s_item_takes_two_steps(new_scene, conf):
    scene = new_scene(**conf)

    _, ours = scene.sent(scene.one_step, PAYLOADS[0], job="j")
    _, theirs = scene.sent(scene.two_steps, PAYLOADS[0], job="j")

    assert scene.template() is None
    assert comparable(ours) == comparable(theirs)


@pytest.mark.parametrize("signal", [signals.before_task_publish, signals.after_task_publish])
def test_receiver_of_celerys_signals_still_gets_them(scene, signal):
    heard = []
    scene.sent(scene.one_step, {"n": 0})

    def listen(**_):
        heard.append(1)

    signal.connect(listen)
    try:
        scene.sent(scene.one_step, {"n": 1})
    finally:
        signal.disconnect(listen)

    assert heard == [1]


def test_job_id_and_tenant_that_need_quotes_are_quoted(scene):
    _, message = scene.sent(scene.one_step, {"n": 1}, job='a "b"', tenant='c "d"')

    assert message["headers"]["id"] == 'a "b"'
    assert message["headers"]["headers"]["askonce"]["tenant"] == 'c "d"'


def test_queue_that_is_no_list_is_an_error(scene):
    scene.one_step.enqueue(scene.spec, {"n": 0})
    scene.client.delete("jobs")
    scene.client.set("jobs", "no list")

    with pytest.raises(StoreUnavailable, match="reason=wrongtype"):
        scene.one_step.enqueue(scene.spec, {"n": 1})


def test_record_that_is_none_is_an_error_of_its_own(scene):
    asked = scene.one_step.enqueue(scene.spec, {"n": 0})
    scene.client.set(scene.store._scripts.record_keys(asked.key)[0], "no record")

    with pytest.raises(RecordDamaged):
        scene.one_step.enqueue(scene.spec, {"n": 0})


@pytest.mark.parametrize(
    ("store", "broker", "one_step", "apart"),
    [
        ("redis://127.0.0.1:7000/0", "redis://127.0.0.1:7000/0", True, False),
        ("redis://:secret@127.0.0.1:7000/2", "redis://:secret@127.0.0.1:7000/2", True, False),
        ("redis://127.0.0.1:7000/0", "redis://127.0.0.1:7000/1", False, False),
        ("redis://127.0.0.1:7000/0", "redis://127.0.0.1:7001/0", False, True),
        ("unix:///tmp/s?db=1", "redis+socket:///tmp/s?virtual_host=1", True, False),
        ("unix:///tmp/s?db=1", "redis+socket:///tmp/t?virtual_host=1", False, True),
        ("redis://127.0.0.1:7000/0", "redis://127.0.0.1:7000/0;redis://127.0.0.1:7001/0", False, False),
        ("redis://127.0.0.1:7000/0", "sentinel://127.0.0.1:7000", False, False),
        ("redis://127.0.0.1:7000/0", "amqp://127.0.0.1:7000//", False, True),
    ],
)
def test_one_step_is_chosen_where_one_database_has_both(store, broker, one_step, apart):
    app = Celery("choosing", broker=broker, set_as_current=False)

    producer = new_producer(app, RedisStore.from_url(store, namespace="test"), CelerySender(app))

    assert isinstance(producer.publish, OneStep) == one_step
    assert producer.sends_alone == apart


def test_one_step_over_a_unix_socket_sends_what_kombu_would():
    with Valkey() as server:
        app = Celery("socket", broker=server.broker_url, set_as_current=False)
        store = RedisStore.from_url(server.url, namespace="test")
        assert address(app) == store.pusher.address
        producer = new_producer(app, store, CelerySender(app))

        producer.enqueue(JobSpec(name="rates.fetch"), {"n": 1})

        with Redis.from_url(server.url) as client:
            assert client.llen("celery") == 1
        store.close()
        app.close()
