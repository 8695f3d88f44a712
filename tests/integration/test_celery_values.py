"""What each option may be: a value that no message can carry is refused by name, and nothing is recorded."""

import json
from itertools import count

import pytest
from celery import signature
from redis import Redis

from askonce.adapters.celery import IdempotentTask
from askonce.adapters.celery.values import HEADER_DEPTH_MAX
from askonce.adapters.celery.ways import OF_ONE_MESSAGE, PUBLISHED
from askonce.attempt import current_attempt
from askonce.errors import OptionInvalid
from askonce.outcomes import Admitted, Hit
from askonce.spec import JobSpec
from tests.deadlines import eventually, stretched

pytestmark = [
    pytest.mark.integration,
    # Celery's result backend speaks redis-py's older language.
    pytest.mark.filterwarnings("ignore:Call to deprecated setex:DeprecationWarning"),
]

_numbers = count(1)


class Shop:
    """A task that takes links, and one to link."""

    def __init__(self, shop):
        self.shop, self.app, self.store, self.seen = shop, shop.app, shop.store, []

        @shop.app.task(name="valued", base=IdempotentTask, spec=JobSpec(), shared=False)
        def valued(n):
            self.seen.append((n, current_attempt().key))
            return n

        @shop.app.task(name="rest", shared=False, ignore_result=False)
        def rest(*_):
            """Be called at the end of another task."""

        valued.ignore_result = False
        self.task, self.rest = valued, rest


@pytest.fixture(scope="module")
def shop(new_shop, tcp_server):
    prefix = {"global_keyprefix": "values:"}
    made = new_shop("values", result_backend=tcp_server.url, result_backend_transport_options=prefix)
    made.app.conf.task_create_missing_queues = True
    shop = Shop(made)
    with made.worker():
        yield shop


@pytest.fixture
def n(shop):
    shop.shop.heard.clear()
    return next(_numbers)


#: Each sends the message in another way.
WAYS = {
    "apply_async": lambda shop, n, o: shop.task.apply_async((n,), **o),
    "own message": lambda shop, n, o: shop.task.apply_async((n,), **{"link": shop.rest.si(), **o}),
    "signature": lambda shop, n, o: shop.task.s(n).set(**o).apply_async(),
    "send_task": lambda shop, n, o: shop.app.send_task("valued", (n,), **o),
}
REST = signature("rest", args=(), kwargs={})


def nested(levels):
    value = 5
    for _ in range(levels):
        value = [value]
    return value


#: One option, and values of it that no worker takes.
UNUSABLE = {
    "chain": ["rest", [7], [REST, 7]],
    "chord": ["rest", 7, [REST]],
    "compression": ["lzzz", "brotli", 5, ["zlib"]],
    "confirm_timeout": ["soon", -1, True, float("nan")],
    "connection": ["redis://x", 5],
    "delivery_mode": ["x", 3, True, [1]],
    "group_id": [7, "", "a\nb"],
    "group_index": ["x", -1, True],
    "ignore_result": ["no", 0],
    "immediate": ["no", 1],
    "link": ["rest", 5, [REST, 7], [REST] * 101, {**REST, "args": nested(300)}],
    "link_error": ["rest", 5, [REST, 7]],
    "mandatory": ["no", 1],
    "origin": [5, "a\nb"],
    "parent_id": [5, "a\nb"],
    "producer": ["x", 5],
    "publisher": ["x", 5],
    "replaced_task_nesting": ["x", -1],
    "reply_to": [5, "a\nb"],
    "retries": ["x", -1, 1.5],
    "retry": ["no", 1],
    "retry_policy": [5, {"max_retries": "x"}, {"tries": 5}, {"interval_step": -1}, {"retry_errors": 5}],
    "root_id": [5, "a\nb"],
    "route_name": [5, "a\nb"],
    "router": [5, {"queue": "slow"}],
    "shadow": [5, "a\nb", "\ud800", "x" * 1001],
    "stamped_headers": [5, "x", [5], ["tenant"], ["force"], ["queue"], ["no_value"]],
    "stamps": [5, ["x"]],
    "timeout": ["soon", -1],
}


def refused(way, shop, n, options):
    # The others are what Celery and kombu raise where nobody looked.
    with pytest.raises((OptionInvalid, LookupError, TypeError, ValueError, AttributeError)) as caught:
        WAYS[way](shop, n, options)
    assert isinstance(caught.value, OptionInvalid)
    return caught.value.option


def require_untouched(shop, n):
    """Nothing was recorded, and no message was sent."""
    assert isinstance(shop.task.enqueue({"n": n}), Admitted)
    assert n == shop.task.enqueue({"n": n}).result(stretched(20)).value
    assert not [each for each in shop.shop.heard if each.name.startswith("message.")]


def test_every_option_of_a_message_has_values_that_are_refused():
    assert OF_ONE_MESSAGE | PUBLISHED == UNUSABLE.keys()


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("option", UNUSABLE)
def test_value_that_no_message_can_carry_is_refused_by_name(shop, n, option, way):
    assert {option} == {refused(way, shop, n, {option: value}) for value in UNUSABLE[option]}

    require_untouched(shop, n)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", ["id", "task", "chord", "group", "retries", "lang", "compression", "get"])
def test_header_of_celerys_own_is_refused_by_name(shop, n, name, way):
    assert f"headers.{name}" == refused(way, shop, n, {"headers": {"trace": "1", name: "x"}})

    require_untouched(shop, n)


@pytest.mark.parametrize("way", WAYS)
def test_header_that_no_broker_takes_is_refused(shop, n, way):
    assert "headers" == refused(way, shop, n, {"headers": {"trace": nested(HEADER_DEPTH_MAX + 1)}})

    require_untouched(shop, n)


@pytest.mark.parametrize("way", WAYS)
def test_deepest_header_arrives(shop, n, way):
    WAYS[way](shop, n, {"headers": {"trace": nested(HEADER_DEPTH_MAX)}})

    eventually(lambda: isinstance(shop.task.enqueue({"n": n}), Hit))
    assert not [each for each in shop.shop.heard if each.name.startswith("message.")]


@pytest.mark.parametrize("value", [object(), nested(60)], ids=["no json", "deep"])
@pytest.mark.parametrize("way", WAYS)
def test_stamp_that_no_message_can_carry_is_refused(shop, n, way, value):
    assert "trace" == refused(way, shop, n, {"stamped_headers": ["trace"], "trace": value})

    require_untouched(shop, n)


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize(
    ("name", "value"),
    [("tenant", "acme"), ("force", True), ("queue", "second")],
    ids=["tenant", "force", "queue"],
)
def test_stamp_under_the_name_of_an_option_is_refused(shop, n, way, name, value):
    stamp = {"stamped_headers": [name], name: value}

    assert "stamped_headers" == refused(way, shop, n, stamp)

    require_untouched(shop, n)


def test_header_of_a_foreign_apps_form_is_taken_by_send_task(shop, n):
    shop.app.send_task("valued", (n,), headers={"askonce": {"tenant": "acme"}})

    eventually(lambda: isinstance(shop.task.enqueue({"n": n}, tenant="acme"), Hit))


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("force", ["no", 1, [True]])
def test_force_is_true_or_false(shop, n, force, way):
    assert "force" == refused(way, shop, n, {"force": force})

    require_untouched(shop, n)


#: What is no id of a job, and what is.
IDS = ["", "a\nb", "\ud800", "x" * 1500, "x" * 201, "é" * 128, 5, ["x"]]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("task_id", IDS, ids=range(len(IDS)))
def test_id_that_no_message_can_have_is_refused(shop, n, task_id, way):
    assert "task_id" == refused(way, shop, n, {"task_id": task_id})

    require_untouched(shop, n)


@pytest.mark.parametrize("job", IDS, ids=range(len(IDS)))
def test_id_that_no_message_can_have_is_refused_by_enqueue(shop, n, job):
    with pytest.raises(OptionInvalid) as caught:
        shop.task.enqueue({"n": n}, job=job)

    assert "job" == caught.value.option
    require_untouched(shop, n)


@pytest.mark.parametrize("task_id", ["mine", "é" * 127, "x" * 200, "with a space"])
def test_id_of_printable_characters_is_the_jobs(shop, n, task_id):
    named = f"{task_id[: 199 - len(str(n))]}{n}" if len(task_id) == 200 else task_id
    result = shop.task.apply_async((n,), task_id=named)

    assert (named, n) == (result.id, result.get(timeout=stretched(20)))


@pytest.mark.parametrize(
    "option",
    [{"tenant": 5}, {"max_age": "old"}, {"priority": 999}, {"countdown": -1}, {"time_limit": "x"}],
    ids=lambda option: next(iter(option)),
)
@pytest.mark.parametrize("way", ["own message", "send_task"])
def test_message_of_its_own_checks_what_it_carries(shop, n, option, way):
    assert [*option] == [refused(way, shop, n, option)]

    require_untouched(shop, n)


BY_ITEM = {
    "chunks": lambda shop, n, o: shop.task.chunks([(n,)], 1).apply_async(**o),
    "map": lambda shop, n, o: shop.task.map([n]).apply_async(**o),
    "starmap": lambda shop, n, o: shop.task.starmap([(n,)]).apply_async(**o),
}


@pytest.mark.parametrize("way", BY_ITEM)
@pytest.mark.parametrize(
    ("option", "name"),
    [
        ({"tennant": "acme"}, "tennant"),
        ({"shadow": 5}, "shadow"),
        ({"compression": "lzzz"}, "compression"),
        ({"headers": {"id": "x"}}, "headers.id"),
    ],
    ids=["unknown", "shadow", "compression", "headers"],
)
def test_items_refuse_an_option_of_their_message(shop, n, way, option, name):
    with pytest.raises(OptionInvalid) as caught:
        BY_ITEM[way](shop, n, option)

    assert name == caught.value.option
    require_untouched(shop, n)


def later_in_a_chain(shop, n, options):
    (shop.rest.si() | shop.task.si(n).set(**options)).apply_async()


def test_worker_names_what_it_refuses_in_a_chain(shop, n):
    later_in_a_chain(shop, n, {"headers": {"id": "x"}})

    # The worker's last word of this message.
    eventually(lambda: "message.invalid_option" in [each.name for each in shop.shop.heard])
    assert [each for each in shop.shop.heard if str(each.data.get("field")).endswith(".headers.id")]
    assert n not in [seen for seen, _ in shop.seen]
    assert not isinstance(shop.task.enqueue({"n": n}), Hit)


@pytest.mark.parametrize("option", [{"shadow": 5}, {"headers": 5}], ids=str)
def test_chain_with_a_link_that_celery_cannot_use_is_a_dead_letter(shop, n, option):
    heard = len(shop.shop.heard)

    later_in_a_chain(shop, n, option)

    eventually(lambda: "message.invalid_task" in [each.name for each in shop.shop.heard[heard:]])
    assert n not in [seen for seen, _ in shop.seen]
    assert not isinstance(shop.task.enqueue({"n": n}), Hit)


#: A call with the options that a route may look at.
LOOKED_AT = {
    "countdown": 60,
    "expires": 90,
    "headers": {"trace": "1"},
    "max_age": 5.0,
    "priority": 3,
    "run": "night",
    "soft_time_limit": 40,
    "tenant": "acme",
    "time_limit": 50,
}
ROUTED = {
    "enqueue": lambda task, link, n, o: task.enqueue({"n": n}, **o),
    "apply_async": lambda task, link, n, o: task.apply_async((n,), **o),
    "own publish": lambda task, link, n, o: task.apply_async((n,), retry=False, **o),
    "link": lambda task, link, n, o: task.apply_async((n,), link=link, **o),
    "signature": lambda task, link, n, o: task.s(n).set(**o).apply_async(),
    "group": lambda task, link, n, o: (task.s(n).set(**o) | link).apply_async(),
    "send_task": lambda task, link, n, o: task.app.send_task(task.name, (n,), **o),
    "send_task by place": lambda task, link, n, o: task.app.send_task(task.name, [], {"n": n}, **o),
    "later in a chain": lambda task, link, n, o: task.apply_async((n,), parent_id="p", **o),
}


@pytest.fixture
def routed(new_shop, n):
    """A task whose routes are a function; nobody takes its messages."""
    shop, seen = new_shop(f"routes-{n}"), []

    def route(name, args, kwargs, options, task=None):
        seen.append((name, args, kwargs, dict(options), task.name))
        return {"queue": f"{shop.app.main}-{options.get('tenant')}"}

    shop.app.conf.task_routes = (route,)

    @shop.app.task(
        name="valued", base=IdempotentTask, spec=JobSpec(), shared=False, time_limit=99, links=True
    )
    def valued(n, more=1):
        return n

    return valued, signature("rest", app=shop.app), seen


@pytest.mark.parametrize("way", ROUTED)
def test_route_that_is_a_function_sees_every_way_in_one_form(routed, n, way):
    task, link, seen = routed

    ROUTED[way](task, link, n, dict(LOOKED_AT))

    expected = {**LOOKED_AT, "serializer": "json"}
    assert [("valued", (), {"n": n, "more": 1}, expected, "valued")] == seen


@pytest.mark.parametrize("way", ROUTED)
def test_route_that_is_a_function_sees_what_nobody_chose(routed, n, way):
    task, link, seen = routed

    ROUTED[way](task, link, n, {})

    assert [{"tenant": "", "run": "", "serializer": "json", "time_limit": 99}] == [each[3] for each in seen]


@pytest.mark.parametrize("way", ROUTED)
def test_message_goes_where_the_route_of_its_tenant_sends_it(routed, n, way, tcp_server):
    task, link, _ = routed
    ROUTED[way](task, link, n, {"tenant": "acme", "priority": 0})

    with Redis.from_url(tcp_server.url) as broker:
        sent = broker.lrange(f"{task.app.main}:{task.app.main}-acme", 0, -1)
    assert 1 == len(sent)
    properties = json.loads(sent[0])["properties"]
    assert (0, set()) == (properties["priority"], {"tenant", "run"} & properties.keys())


@pytest.mark.parametrize("way", ROUTED)
def test_queue_of_the_caller_wins_over_a_function_for_every_way(routed, n, way, tcp_server):
    task, link, _ = routed
    ROUTED[way](task, link, n, {"queue": "mine"})

    with Redis.from_url(tcp_server.url) as broker:
        assert 1 == broker.llen(f"{task.app.main}:mine")


@pytest.mark.parametrize("way", ROUTED)
def test_route_to_an_exchange_is_refused_for_every_way(routed, n, way):
    task, link, _ = routed
    task.app.conf.task_routes = (lambda *_, **__: {"exchange": "x", "routing_key": "y"},)

    with pytest.raises(OptionInvalid) as caught:
        ROUTED[way](task, link, n, {})

    assert "task_routes" == caught.value.option


@pytest.mark.parametrize("way", ["apply_async", "link", "send_task"])
def test_queue_that_the_app_does_not_have_is_refused(new_shop, n, way):
    shop = new_shop(f"queues-{n}")
    shop.app.conf.task_create_missing_queues = False
    shop.add.links = True

    with pytest.raises(OptionInvalid) as caught:
        ROUTED[way](shop.add, signature("rest", app=shop.app), n, {"queue": "nowhere"})

    assert "queue" == caught.value.option
