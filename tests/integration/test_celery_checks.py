import logging
import socket
from dataclasses import replace
from time import monotonic

import pytest
from celery import Celery
from redis import Redis

from askonce.adapters.celery import AskOnce, IdempotentTask
from askonce.adapters.celery.checks import check_broker, check_settings, check_times
from askonce.adapters.memory import MemoryStore
from askonce.adapters.redis import RedisStore
from askonce.checks import Finding
from askonce.spec import JobSpec
from tests.deadlines import stretched
from tests.integration.embedded import embedded_worker

pytestmark = pytest.mark.integration

SECRET = "geheim-4711"
OURS = "askonce.adapters.kombu.redis:Transport"
WARNING = Finding(severity="warning", subject="store", name="memory", text="is full", cure="raise maxmemory")
ERROR = Finding(severity="error", subject="store", name="eviction", text="evicts", cure="set a policy")
AWAY = Finding(severity="error", subject="store", name="reachable", text="does not answer", cure="start it")


def new_app(broker, **conf):
    app = Celery("checked", broker=broker, set_as_current=False)
    app.conf.update(conf)
    return app


@pytest.fixture
def hole():
    """A port that takes connections and never answers."""
    with socket.create_server(("127.0.0.1", 0), backlog=64) as server:
        yield f"127.0.0.1:{server.getsockname()[1]}"


@pytest.fixture
def policy(tcp_server):
    """Set the server's maxmemory-policy for a test."""
    with Redis.from_url(tcp_server.url) as client:
        yield lambda name: client.config_set("maxmemory-policy", name)
        client.config_set("maxmemory-policy", "noeviction")


@pytest.mark.parametrize("transport", [None, OURS])
def test_broker_is_looked_at_through_the_transport_of_its_app(tcp_server, policy, transport):
    app = new_app(
        tcp_server.url, broker_transport=transport, broker_transport_options={"global_keyprefix": "x:"}
    )
    before = check_broker(app)
    policy("allkeys-lru")
    after = check_broker(app)

    assert ["reachable", "version", "eviction", "persistence"] == [found.name for found in before]
    assert {"ok"} == {found.severity for found in before}
    assert [("broker", "eviction")] == [(f.subject, f.name) for f in after if f.severity == "error"]


@pytest.mark.parametrize("url", ["redis://ana:{}@{}/0", "sentinel://ana:{}@{}/0", "amqp://ana:{}@{}//"])
def test_broker_that_never_answers_is_named_without_its_password(hole, url):
    began = monotonic()
    options = {"master_name": "one"} if url.startswith("sentinel") else {}
    [found] = check_broker(new_app(url.format(SECRET, hole), broker_transport_options=options))

    assert monotonic() - began < stretched(10)
    assert ("error", "broker", "reachable") == (found.severity, found.subject, found.name)
    assert hole in found.text
    assert SECRET not in repr(found)


def test_broker_of_another_kind_is_only_reached():
    assert [("ok", "reachable")] == [(f.severity, f.name) for f in check_broker(new_app("memory://"))]


@pytest.mark.parametrize("scheme", ["nonsense", "sentinel"])
def test_broker_without_its_transport_or_option_is_an_error(scheme):
    [found] = check_broker(new_app(f"{scheme}://:{SECRET}@127.0.0.1:1"))

    assert ("error", "transport") == (found.severity, found.name)
    assert SECRET not in repr(found)


def test_store_in_memory_has_no_findings():
    assert [] == MemoryStore().check()


GOOD = {"task_soft_time_limit": 60, "task_time_limit": 75, "broker_transport_options": {}}
BAD_LADDERS = {
    "the longest call": {"task_soft_time_limit": 45},
    "task_soft_time_limit": {"task_soft_time_limit": 75},
    "task_time_limit": {"broker_transport_options": {"visibility_timeout": 75}},
}


def test_times_in_order_are_one_line():
    findings = check_times([JobSpec()], new_app("redis://", **GOOD), reap_interval=5, longest_call=45)

    assert ["ok: times: are in order"] == [str(found) for found in findings]


@pytest.mark.parametrize("first", BAD_LADDERS)
def test_time_limit_that_ends_too_late_is_an_error(first):
    app = new_app("redis://", **GOOD | BAD_LADDERS[first])

    [found] = check_times([JobSpec()], app, reap_interval=5, longest_call=45)

    assert ("error", "limits") == (found.severity, found.name)
    assert found.text.startswith(f"{first} (")


def test_limits_that_are_not_set_are_not_missed():
    assert ["times"] == [f.name for f in check_times([JobSpec()], new_app("redis://"), reap_interval=5)]


def test_visibility_timeout_of_kombu_counts_where_there_is_one():
    long = {"task_time_limit": 7200}
    redis, rabbit = new_app("redis://", **long), new_app("amqp://", **long)

    assert ["limits"] == [found.name for found in check_times([], redis, reap_interval=5)]
    assert ["times"] == [found.name for found in check_times([], rabbit, reap_interval=5)]


def test_visibility_timeout_does_not_bound_a_renewed_delivery():
    options = {"task_time_limit": 75, "broker_transport_options": {"visibility_timeout": 60}}
    app = new_app("redis://", broker_transport=OURS, **options)

    assert ["times"] == [found.name for found in check_times([], app, reap_interval=5)]


SPECS = {
    "lease that its renewals do not fit": ({"lease": 2.9}, "warning", "lease"),
    "lease that outlives its fence": ({"lease": 3600.0}, "error", "lease"),
    "queue deadline between two looks": ({"queue_deadline": 4.9}, "warning", "queue_deadline"),
}


@pytest.mark.parametrize("what", SPECS)
def test_wrong_time_of_one_spec_is_found(what):
    change, severity, name = SPECS[what]
    specs = [JobSpec(), replace(JobSpec(), **change), JobSpec()]

    [found] = check_times(specs, new_app("redis://"), reap_interval=5)

    assert (severity, name) == (found.severity, found.name)


def new_app_with_tasks(broker="redis://", *, ignore_result=False, late=None, **conf):
    app = new_app(broker, broker_transport=OURS, **conf)

    @app.task(name="add", base=IdempotentTask, spec=JobSpec(), ignore_result=ignore_result, shared=False)
    def add(n):
        return n + 1

    def nothing():
        pass

    for name in ("one", "two", "three", "four"):
        app.task(name=name, acks_late=late, shared=False)(nothing)
    return app


WITH_RESULTS = {"result_backend": "cache+memory://"}


def test_settings_of_celery_are_enough_for_jobs():
    assert [] == check_settings(new_app_with_tasks(ignore_result=True))
    assert [] == check_settings(new_app_with_tasks(late=True, **WITH_RESULTS))


CURES = {"redis": "set broker_transport = ", "rediss": "set broker_transport = "}
SHORT = {"redis+socket": "set visibility_timeout to ", "sentinel": "set visibility_timeout to "}


@pytest.mark.parametrize("scheme", CURES | SHORT)
def test_transport_that_renews_no_delivery_is_named(scheme):
    [found] = check_settings(new_app(f"{scheme}://"))

    assert ("warning", "renewal") == (found.severity, found.name)
    assert f"after 3600 s; {(CURES | SHORT)[scheme]}" in found.line


@pytest.mark.parametrize(
    ("scheme", "found"), [("redis", 0), ("rediss", 0), ("redis+socket", 1), ("sentinel", 1)]
)
def test_our_transport_is_used_where_the_url_names_no_other(scheme, found):
    assert found == len(check_settings(new_app(f"{scheme}://", broker_transport=OURS)))


@pytest.mark.parametrize("broker", ["amqp://", "memory://"])
def test_broker_that_is_not_on_redis_needs_no_renewal(broker):
    assert [] == check_settings(new_app(broker))


WRONG_SETTINGS = {
    "accept_content": ({"accept_content": ["yaml"]}, "error"),
    "cancelled_calls": ({"worker_cancel_long_running_tasks_on_connection_loss": True}, "warning"),
    "deduplication": ({"worker_deduplicate_successful_tasks": True, **WITH_RESULTS}, "error"),
    "acks_late": ({"task_annotations": {"add": {"acks_late": False}}}, "error"),
}


@pytest.mark.parametrize("name", WRONG_SETTINGS)
def test_setting_that_loses_messages_or_calls_is_found(name):
    conf, severity = WRONG_SETTINGS[name]

    [found] = check_settings(new_app_with_tasks(late=True, **conf))

    assert (severity, name) == (found.severity, found.name)
    assert found.cure


def test_plain_tasks_that_may_be_in_a_chord_are_named():
    [found] = check_settings(new_app_with_tasks(**WITH_RESULTS))

    assert ("warning", "plain_tasks") == (found.severity, found.name)
    assert "loses what it runs of four, one, three and 1 more;" in found.text


SETTINGS_AGAINST_US = {
    "task_acks_late": False,
    "task_acks_on_failure_or_timeout": False,
    "task_reject_on_worker_lost": False,
    "task_retry_on_worker_lost": True,
}


def test_idempotent_task_needs_no_setting_of_its_app():
    task = new_app_with_tasks(**SETTINGS_AGAINST_US).tasks["add"]

    assert (task.acks_late, task.reject_on_worker_lost, task.retry_on_worker_lost) == (True, True, False)
    assert (task.acks_on_failure, task.acks_on_timeout) == (True, True)


def test_worker_refuses_a_task_whose_messages_it_would_lose(new_shop_with, work, capfd):
    app, once = new_shop_with()
    app.conf.task_annotations = {"add": {"acks_late": False}}

    with pytest.raises(SystemExit) as ended:
        work(app, once)

    assert 78 == ended.value.code
    assert (
        "error: tasks: acks_late is off for add: a killed worker loses its messages" in capfd.readouterr().err
    )


@pytest.fixture
def new_shop_with(tcp_server):
    """An app with a store of its own and a check."""

    def make(**options):
        app = new_app(
            tcp_server.url,
            broker_transport=OURS,
            broker_connection_retry_on_startup=True,
            task_default_queue="checked",
            worker_hijack_root_logger=False,
            worker_redirect_stdouts=False,
        )
        store = RedisStore.from_url(tcp_server.url, namespace="checked")
        once = AskOnce(app, store=lambda: store, **options)

        @app.task(name="add", base=IdempotentTask, spec=JobSpec(lease=1.0), shared=False)
        def add(n):
            return n + 1

        return app, once

    return make


@pytest.fixture
def work():
    """Run a worker of an app for a moment."""

    def work(app, once):
        try:
            with embedded_worker(app, pool="solo"):
                pass
        finally:
            once.process().reaper.stop()

    return work


@pytest.fixture
def logged(caplog):
    caplog.set_level(logging.WARNING, logger="askonce")
    return lambda: [record.getMessage() for record in caplog.records if record.name == "askonce"]


def test_worker_of_any_app_refuses_a_server_that_evicts(new_shop_with, work, policy, capfd):
    policy("allkeys-lru")

    with pytest.raises(SystemExit) as ended:
        work(*new_shop_with())

    assert 78 == ended.value.code
    [line] = [line for line in capfd.readouterr().err.splitlines() if line.startswith("error: ")]
    assert line.startswith("error: store and broker: evicts by allkeys-lru")


def test_worker_of_any_app_may_do_without_the_check(new_shop_with, work, policy):
    policy("allkeys-lru")

    work(*new_shop_with(check=None))


def test_warnings_are_logged_once_and_end_nothing(new_shop_with, work, logged):
    app, once = new_shop_with(check=lambda _: [WARNING, replace(WARNING, subject="broker")])

    work(app, once)

    assert ["start: store and broker: is full; raise maxmemory"] == logged()


def test_times_of_the_tasks_of_any_app_are_looked_at(new_shop_with, work, logged):
    work(*new_shop_with())

    [line] = logged()
    assert line.startswith("start: times: a lease of 1 s leaves less than 1 s between its renewals; ")


def test_absent_server_is_checked_again_at_the_first_connection(new_shop_with, logged):
    answers = [[AWAY, WARNING], [AWAY, WARNING], [ERROR]]
    _, once = new_shop_with(check=lambda _: answers.pop(0))

    for _ in range(4):
        once.start_up.run()

    assert [[ERROR]] == answers
    assert ["start: store: does not answer; start it; not checked", f"start: {WARNING.line}"] == logged()


def test_error_of_a_server_that_was_absent_ends_the_worker(new_shop_with, capfd):
    answers = [[AWAY], [ERROR]]
    _, once = new_shop_with(check=lambda _: answers.pop(0))
    once.start_up.run()

    with pytest.raises(SystemExit) as ended:
        once.start_up.run()

    assert 78 == ended.value.code
    assert f"{ERROR}\n" == capfd.readouterr().err
