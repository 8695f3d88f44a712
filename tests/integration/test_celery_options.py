"""Every way to call a task, with every option: honoured, or refused by name."""

import inspect
import json
import re
import time
from datetime import UTC, datetime
from itertools import count
from pathlib import Path

import kombu
import pytest
from celery import Celery, Task
from celery.app.amqp import AMQP
from redis import Redis

from askonce.adapters.celery.ways import OF_ONE_MESSAGE, PUBLISHED, RECORDED, REFUSED
from askonce.errors import OptionInvalid
from askonce.job import Routing
from askonce.options import Options
from askonce.outcomes import Admitted, Hit
from tests.deadlines import eventually, stretched
from tests.integration.every_way import (
    ASKING,
    BY_ITEM,
    DROPS_NONE,
    HERE,
    WAYS,
    Shop,
    by_beat,
    parametrized,
    refusal,
    seen_by,
)

pytestmark = [
    pytest.mark.integration,
    # Celery's result backend speaks redis-py's older language.
    pytest.mark.filterwarnings("ignore:Call to deprecated setex:DeprecationWarning"),
]

PAGE = Path(__file__).parents[2] / "docs" / "own-app.md"
_numbers = count(1)


@pytest.fixture(scope="module")
def shop(new_shop, tcp_server):
    prefix = {"global_keyprefix": "options:"}
    made = new_shop("options", result_backend=tcp_server.url, result_backend_transport_options=prefix)
    made.app.conf.task_create_missing_queues = True
    shop = Shop(made)
    made.app.amqp.queues.select_add("second")
    with made.worker():
        yield shop


@pytest.fixture
def n():
    return next(_numbers)


@parametrized(WAYS)
def test_plain_call_is_one_job_for_every_way(shop, n, way):
    for _ in range(2):
        WAYS[way](shop, n, {})

    seen_by(shop, n)

    eventually(lambda: isinstance(shop.task.enqueue({"n": n}), Hit))
    assert 1 == len(shop.seen[n])


@parametrized(WAYS)
def test_tenant_is_the_answers_for_every_way(shop, n, way):
    WAYS[way](shop, n, {"tenant": "acme"})

    record, _, _ = seen_by(shop, n)

    eventually(lambda: isinstance(shop.task.enqueue({"n": n}, tenant="acme"), Hit))
    assert record.job == shop.task.enqueue({"n": n}, tenant="acme").job
    assert isinstance(shop.task.enqueue({"n": n}, countdown=60), Admitted)


@parametrized(WAYS)
def test_run_is_in_the_record_for_every_way(shop, n, way):
    WAYS[way](shop, n, {"run": "night"})

    assert "night" == seen_by(shop, n)[0].run


@pytest.mark.parametrize("option", [{"force": True}, {"max_age": 0.0}], ids=["force", "max_age"])
@parametrized(WAYS)
def test_answer_that_is_too_old_is_made_again_for_every_way(shop, n, way, option):
    shop.task.apply((n,))
    eventually(lambda: shop.task.enqueue({"n": n}).answer.age > 0)

    WAYS[way](shop, n, dict(option))

    eventually(lambda: 2 == len(shop.seen[n]), seconds=20.0)


@parametrized(sorted(WAYS.keys() - {"apply"}))
def test_duplicate_is_rejected_for_every_way(shop, n, way, gate):
    shop.gates[n] = gate
    shop.task.enqueue({"n": n})
    seen_by(shop, n)
    before = shop.task.enqueue({"n": n}).job

    outcome = refusal(way, shop, n, {"on_duplicate": "reject"})
    gate.set()

    if way in ASKING:
        assert "duplicate" in str(outcome).lower()
    assert before == shop.task.enqueue({"n": n}).job
    eventually(lambda: isinstance(shop.task.enqueue({"n": n}), Hit))
    assert 1 == len(shop.seen[n])


TRAVELS = sorted(WAYS.keys() - HERE - BY_ITEM)


@pytest.mark.parametrize(
    "option", [{}, {"tenant": "acme"}, {"run": "night"}, {"force": True}, {"max_age": 0.0}], ids=str
)
@parametrized(sorted(WAYS.keys() - HERE))
def test_duplicate_with_an_option_is_no_other_call_for_every_way(shop, n, way, option, gate):
    shop.gates[n] = gate
    tenant = {"tenant": option.get("tenant", "")}
    first = shop.task.enqueue({"n": n}, **tenant)
    seen_by(shop, n)
    heard = len(shop.shop.heard)

    WAYS[way](shop, n, dict(option))
    eventually(
        lambda: ("job.attached", first.key) in [(each.name, each.key) for each in shop.shop.heard[heard:]]
    )
    gate.set()

    eventually(lambda: isinstance(shop.task.enqueue({"n": n}, **tenant), Hit))
    with Redis.from_url(shop.shop.server.url) as broker:
        eventually(lambda: not broker.llen(f"{shop.app.main}:{shop.app.main}"))
    assert 1 == len(shop.seen[n])


@parametrized(TRAVELS)
def test_duplicate_names_what_the_job_did_not_take_for_every_way(shop, n, way, gate):
    shop.gates[n] = gate
    first = shop.task.enqueue({"n": n})
    before, _, _ = seen_by(shop, n)
    limits = {"time_limit": 50, "soft_time_limit": 40}

    WAYS[way](shop, n, {"queue": "second", "priority": 3, **limits, "headers": {"trace": "t-1"}})
    attached = eventually(lambda: ignored_by(shop, first.job))
    record = shop.store.read([first.key])[0]
    gate.set()

    assert {"headers", "limits"} | ({"queue", "priority"} if way in ASKING else set()) == attached
    assert (before.routing, before.run, before.job) == (record.routing, record.run, record.job)
    eventually(lambda: isinstance(shop.task.enqueue({"n": n}), Hit))
    assert 1 == len(shop.seen[n])


def ignored_by(shop, job):
    """Return what the events of *job* name that it did not take."""
    named = [str(each.data.get("ignored", "")) for each in shop.shop.heard if each.job == job]
    return {name for each in named for name in each.split(",") if name}


@parametrized(TRAVELS)
def test_where_and_how_a_message_goes_stands_in_the_record(shop, n, way):
    limits, headers = {"time_limit": 50, "soft_time_limit": 40}, {"trace": "t-1"}
    WAYS[way](shop, n, {"queue": "second", "priority": 3, **limits, "headers": headers})

    record, custom, limits = seen_by(shop, n)

    kept = json.loads(record.routing.headers)
    assert Routing("second", 3, 50, 40) == record.routing._replace(headers="")
    assert {"t-1"} == {kept.pop("trace"), custom["trace"]}
    assert (["celery_beat_task"] if way == "beat" else []) == list(kept)
    assert [50, 40] == list(limits)


@parametrized(TRAVELS)
def test_call_that_is_due_later_does_not_start_before(shop, n, way):
    WAYS[way](shop, n, {"countdown": 60.0})
    WAYS[way](shop, n + 100_000, {"eta": datetime.fromtimestamp(time.time() + 60, UTC)})
    last = next(_numbers) + 200_000
    shop.task.enqueue({"n": last})

    seen_by(shop, last)

    assert not shop.seen.get(n)
    assert not shop.seen.get(n + 100_000)


@parametrized(WAYS)
@pytest.mark.parametrize(
    "option",
    [{"tenant": 5}, {"max_age": "old"}, {"on_duplicate": "explode"}, {"run": "two\nlines"}],
    ids=["tenant", "max_age", "on_duplicate", "run"],
)
def test_value_that_cannot_be_used_is_refused_by_name(shop, n, way, option):
    require_refused(shop, n, way, option)


@parametrized(sorted(WAYS.keys() - DROPS_NONE))
def test_tenant_that_its_caller_lost_is_refused(shop, n, way):
    require_refused(shop, n, way, {"tenant": None})


def require_refused(shop, n, way, option):
    [name] = option

    if refused := refusal(way, shop, n, dict(option)):
        assert f"option={name} " in str(refused)
    else:
        # No caller is there any more: the worker keeps a dead letter that names it.
        eventually(lambda: [each for each in shop.shop.heard if name in str(each.data.get("field"))])
    assert not shop.seen.get(n)


def parameters(*functions):
    return {
        name
        for function in functions
        for name, parameter in inspect.signature(function).parameters.items()
        if parameter.kind in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY)
    }


#: Not options: the call itself.
ITSELF = {"self", "name", "args", "kwargs", "task_id"}
#: Every message of a job has them anyway.
AS_ALWAYS = {"add_to_parent", "serializer"}


def test_every_option_of_the_installed_libraries_is_decided():
    known = parameters(Task.apply_async, Celery.send_task, AMQP.as_task_v2, kombu.Producer.publish)
    known |= Options.__annotations__.keys()

    decided = RECORDED | PUBLISHED | OF_ONE_MESSAGE | REFUSED.keys() | AS_ALWAYS | ITSELF

    assert set() == known - decided


@pytest.mark.parametrize("option", [*sorted(REFUSED), "tennant"])
def test_option_that_no_way_honours_is_refused_by_name(shop, n, option):
    with pytest.raises(OptionInvalid) as refused:
        shop.task.apply_async((n,), **{option: "x"})

    assert option == refused.value.option


@pytest.mark.parametrize("option", [{"force": True}, {"max_age": 0.0}], ids=["force", "max_age"])
def test_message_that_is_delivered_again_does_not_pay_again(shop, n, ended, option):
    shop.task.apply((n,))
    eventually(lambda: shop.task.enqueue({"n": n}).answer.age > 0)
    sent = shop.task.apply_async((n,), queue="aside", shadow="x", **option).id
    with Redis.from_url(shop.shop.server.url) as broker:
        message = json.loads(broker.rpop(f"{shop.app.main}:aside"))
        for redelivered in (False, True):
            message["properties"]["delivery_info"]["redelivered"] = redelivered
            broker.lpush(f"{shop.app.main}:{shop.app.main}", json.dumps(message))
            eventually(lambda: 1 + redelivered == ended.count(("SUCCESS", sent)))  # noqa: B023  # called at once

    assert 2 == len(shop.seen[n])


def test_option_that_a_foreign_app_passes_beside_the_header_is_refused(shop, n):
    shop.foreign.send_task("seen", (n,), tenant="acme")

    eventually(lambda: "properties.tenant" in [each.data.get("field") for each in shop.shop.heard])
    assert not shop.seen.get(n)


def test_result_names_the_options_that_the_job_did_not_take(shop, n):
    first = shop.task.apply_async((n,), countdown=60)
    second = shop.task.apply_async((n,), queue="second", headers={"trace": "t-1"}, countdown=90)

    third = shop.task.apply_async((n,), task_id="mine", countdown=90)
    fourth = shop.task.enqueue({"n": n}, job="mine", countdown=90)

    assert ((), ("queue", "headers", "countdown")) == (first.not_taken, second.not_taken)
    assert (("task_id", "countdown"), ("countdown", "job")) == (third.not_taken, fourth.ignored)


@pytest.mark.parametrize("names", [RECORDED, PUBLISHED, OF_ONE_MESSAGE, REFUSED.keys()], ids=range(4))
def test_page_names_every_option_beside_what_it_does(names):
    rows = [line for line in PAGE.read_text().splitlines() if line.startswith("| `")]
    beside = [set(re.findall(r"`(\w+)`", row.split("|")[1])) for row in rows]

    assert set(names) in beside


VALUES = {
    "compression": "zlib",
    "confirm_timeout": 5,
    "delivery_mode": 1,
    "immediate": False,
    "mandatory": False,
    "retry": False,
    "retry_policy": {"max_retries": 1},
    "timeout": 5,
}


def connections(shop):
    connection = shop.app.connection_for_write()
    producer = shop.app.amqp.Producer(connection, auto_declare=False)
    return {"connection": connection, "producer": producer, "publisher": producer}


@pytest.mark.parametrize("option", sorted(PUBLISHED))
def test_option_of_one_publish_sends_one_message_of_the_job(shop, n, option):
    value = VALUES[option] if option in VALUES else connections(shop)[option]

    result = shop.task.apply_async((n,), **{option: value})

    assert n == result.get(timeout=stretched(20))
    assert result.id == shop.task.enqueue({"n": n}).job
    assert 1 == len(shop.seen[n])


def test_beat_sends_no_second_message_of_a_job_that_is_queued(shop, n, gate):
    shop.gates[n] = gate
    by_beat(shop, n, {})
    seen_by(shop, n)
    heard = len([each for each in shop.shop.heard if each.name == "job.skipped"])

    for _ in range(3):
        by_beat(shop, n, {})
    gate.set()

    eventually(lambda: isinstance(shop.task.enqueue({"n": n}), Hit))
    assert heard == len([each for each in shop.shop.heard if each.name == "job.skipped"])
