"""Groups of payloads through a Celery app, where one server has records and messages."""

from contextlib import closing
from dataclasses import replace

import pytest
from celery import Celery, signals

from askonce.adapters.celery.one_step import new_producer
from askonce.adapters.celery.sender import CelerySender
from askonce.adapters.redis import RedisStore
from askonce.errors import (
    LayoutNewer,
    PayloadInvalid,
    RecordDamaged,
    SendFailed,
    StoreUnavailable,
    Superseded,
)
from askonce.outcomes import Admitted, Attached, Conflict
from askonce.spec import JobSpec
from tests.deadlines import stretched
from tests.integration.two_producers import PAYLOADS, comparable

pytestmark = pytest.mark.integration


def kinds(outcomes):
    return [type(outcome) for outcome in outcomes]


@pytest.fixture
def scene(scene):
    scene.spec = JobSpec(name="rates.fetch", key_fields=("key",))
    return scene


def test_messages_of_a_group_are_those_that_kombu_would_send(scene):
    ids, options = [f'j "{number}"' for number in range(len(PAYLOADS))], {"tenant": 'c "d"', "run": "night"}
    scene.two_steps.enqueue_many(scene.spec, PAYLOADS, jobs=ids, **options)
    theirs = list(map(comparable, scene.take()))
    scene.client.flushall()

    scene.ask(PAYLOADS, jobs=ids, **options)

    assert theirs == list(map(comparable, scene.take()))
    assert ids == [message["headers"]["id"] for message in theirs]


def test_every_message_of_a_group_has_its_own_tag(scene):
    scene.ask([{"key": number} for number in range(120)])
    scene.ask([{"key": -number} for number in range(1, 121)])

    assert 240 == len({message["properties"]["delivery_tag"] for message in scene.take()})


def test_each_job_of_a_group_has_its_own_tags(scene):
    scene.spec = replace(scene.spec, tags=lambda row: [f"customer-{row['key'] % 2}"])
    keys = [outcome.key for outcome in scene.ask([{"key": number} for number in range(4)])]

    tags = [record.tags for record in scene.store.read(keys)]

    assert [("customer-0",), ("customer-1",)] * 2 == tags


def test_group_sends_one_message_for_equal_payloads(scene):
    outcomes = scene.ask([{"key": 1}, {"key": 2}, {"key": 1}])

    assert [Admitted, Admitted, Attached] == kinds(outcomes)
    assert 2 == len(scene.take())


def test_group_with_its_ids_again_sends_nothing(scene):
    first = scene.ask([{"key": 1}, {"key": 2}], jobs=["a", "b"])
    again = scene.ask([{"key": 1}, {"key": 2}], jobs=["a", "b"])

    assert [Admitted] * 2 == kinds(again)
    assert [each.job for each in first] == [each.job for each in again]
    assert ["a", "b"] == [message["headers"]["id"] for message in scene.take()]


def test_group_sends_the_last_content_of_a_key_only(scene):
    outcomes = scene.ask([{"key": 1, "day": day} for day in range(3)])

    assert [Superseded, Superseded, Admitted] == kinds(outcomes)
    [message] = scene.take()
    assert '"day":2' in message["body"]


def test_group_that_refuses_conflicts_sends_the_first(scene):
    scene.spec = replace(scene.spec, on_mismatch="conflict")

    assert [Admitted, Conflict] == kinds(scene.ask([{"key": 1, "day": 1}, {"key": 1, "day": 2}]))
    assert 1 == len(scene.take())


@pytest.mark.parametrize(("how", "error"), [("type", RecordDamaged), ("newer", LayoutNewer)])
def test_damaged_record_costs_no_other_row_of_its_script(scene, how, error):
    asked = scene.ask([{"key": number} for number in range(3)])
    scene.damage(asked[1].key, how)
    scene.take()

    outcomes = scene.ask([{"key": number} for number in range(4)])

    assert [Attached, error, Attached, Admitted] == kinds(outcomes)
    assert asked[1].key == outcomes[1].key
    assert 1 == len(scene.take())


def test_new_jobs_around_a_damaged_record_are_sent_once(scene):
    [asked] = scene.ask([{"key": 1}])
    scene.damage(asked.key, "type")
    scene.take()

    outcomes = scene.ask([{"key": number} for number in range(3)])

    assert [Admitted, RecordDamaged, Admitted] == kinds(outcomes)
    assert [outcomes[0].job, outcomes[2].job] == [message["headers"]["id"] for message in scene.take()]
    counted = {counter.what: amount for counter, amount in scene.store.tally.totals().items()}
    assert {"admitted": 3} == counted


def test_queue_that_is_no_list_is_an_error_of_the_group(scene):
    scene.ask([{"key": 0}])
    scene.client.delete("jobs")
    scene.client.set("jobs", "no list")

    with pytest.raises(StoreUnavailable, match="reason=wrongtype"):
        scene.ask([{"key": 1}])


def test_full_server_is_an_error_of_the_group(scene):
    scene.ask([{"key": 0}])
    scene.client.config_set("maxmemory", 1)
    try:
        with pytest.raises(StoreUnavailable, match="reason=oom"):
            scene.ask([{"key": 1}, {"key": 2}])
    finally:
        scene.client.config_set("maxmemory", 0)


def test_server_that_forgot_the_scripts_gets_them_again(scene):
    scene.ask([{"key": 0}])
    scene.client.script_flush()

    assert [Admitted] * 120 == kinds(scene.ask([{"key": number} for number in range(1, 121)]))
    assert 121 == len(scene.take())


def test_rows_go_where_a_route_by_payload_sends_them(new_scene):
    def route(name, args, kwargs, options, task=None):
        return {"queue": f"of-{kwargs['region']}"}

    scene = new_scene(task_routes=(route,))

    scene.ask([{"key": number, "region": "ab"[number % 2]} for number in range(6)])

    assert [3, 3] == [len(scene.take("of-a")), len(scene.take("of-b"))]


@pytest.mark.parametrize("options", [{"time_limit": 5}, {"headers": {"x": "1"}}, {"countdown": 60}])
def test_option_that_takes_two_steps_holds_for_each_row(scene, options):
    assert [Admitted] * 3 == kinds(scene.ask([{"key": number} for number in range(3)], **options))
    messages = scene.take()

    if "countdown" in options:
        assert [] == messages
    else:
        assert [[5, None] if "time_limit" in options else [None, None]] * 3 == [
            message["headers"]["timelimit"] for message in messages
        ]


def test_receiver_of_celerys_signals_hears_of_each_row(scene):
    heard = []

    def listen(**_):
        heard.append(1)

    signals.before_task_publish.connect(listen)
    try:
        scene.ask([{"key": number} for number in range(3)])
    finally:
        signals.before_task_publish.disconnect(listen)

    assert [1, 1, 1] == heard
    assert 3 == len(scene.take())


@pytest.mark.long
def test_group_on_a_broker_that_is_away_is_recorded(tcp_server, scene):
    app = Celery("away", broker="redis://127.0.0.1:1/0", set_as_current=False)
    app.conf.update(task_default_queue="jobs", task_publish_retry=False)
    with closing(RedisStore.from_url(tcp_server.url, namespace="test")) as store:
        producer = new_producer(app, store, CelerySender(app))

        outcomes = producer.enqueue_many(scene.spec, [{"key": 1}, {"key": 2}])

        assert [SendFailed] * 2 == kinds(outcomes)
        assert ["queued"] * 2 == [record.flight for record in store.read([each.key for each in outcomes])]
    app.close()


def test_group_whose_broker_closed_the_connection_is_sent(scene):
    payloads = [{"key": number} for number in range(3)]
    scene.two_steps.enqueue_many(scene.spec, payloads)
    scene.take()
    scene.client.client_kill_filter(_type="normal", skipme=True)

    outcomes = scene.two_steps.enqueue_many(scene.spec, [{"key": number} for number in range(3, 6)])

    assert [Admitted] * 3 == kinds(outcomes)
    assert [each.job for each in outcomes] == [message["headers"]["id"] for message in scene.take()]


def test_task_enqueues_a_group_and_its_worker_answers_it(plain, number):
    outcomes = plain.add.enqueue_many(
        [{"n": number}, {"n": number, "wrong": 1}, {"n": number, "more": 5}, {"n": number}]
    )

    assert [Admitted, PayloadInvalid, Admitted, Attached] == kinds(outcomes)
    answers = [outcomes[place].result(stretched(10)).value for place in (0, 2, 3)]
    assert [number + 1, number + 5, number + 1] == answers


def test_eager_task_runs_each_row_of_a_group(new_shop, number):
    shop = new_shop("eager", task_always_eager=True)

    outcomes = shop.add.enqueue_many([{"n": number}, {"n": number + 1}, {"n": number}])

    assert [number + 1, number + 2, number + 1] == [each.result(0).value for each in outcomes]
