import socket
import time
from time import monotonic

import pytest
from redis import Redis
from redis.exceptions import TimeoutError as RedisTimeoutError

from askonce.adapters.redis import RedisStore
from askonce.adapters.redis.checks import _Facts, _Judge, check_server
from sandbox.valkey import Valkey
from tests.deadlines import stretched

pytestmark = pytest.mark.integration

SECRET = "geheim-4711"
#: What a healthy server answers, in this order.
HEALTHY = ["reachable", "version", "eviction", "persistence"]


@pytest.fixture(scope="module")
def server():
    with Valkey() as server:
        yield server


@pytest.fixture
def admin(server):
    """The server's operator; everything is as before after the test."""
    with Redis.from_url(server.url, decode_responses=True) as client:
        before = client.config_get("maxmemory*", "append*", "save")
        yield client
        client.replicaof("NO", "ONE")
        for name in ("maxmemory", "maxmemory-policy", "appendonly", "appendfsync", "save"):
            client.config_set(name, before[name])
        client.execute_command("ACL", "DELUSER", "small")
        client.config_set("requirepass", "")


@pytest.fixture
def look(server):
    """Check the server; `options` are the client's."""

    def look(clock=time.time, **options):
        with Redis.from_url(server.url, socket_timeout=5, **options) as client:
            return check_server(client, subject="store", place="here", clock=clock)

    return look


def one(findings, name):
    [found] = [found for found in findings if found.name == name]
    return found


def bad(findings):
    return [(found.severity, found.name) for found in findings if found.severity != "ok"]


def test_healthy_server_shows_version_policy_and_persistence(admin, look):
    findings = look()

    assert [] == bad(findings)
    assert HEALTHY == [found.name for found in findings]
    assert f"is Valkey {admin.info('server')['valkey_version']}" == one(findings, "version").text
    assert all(found.cure == "" for found in findings)


@pytest.mark.parametrize("policy", ["allkeys-lru", "allkeys-lfu", "allkeys-random"])
def test_server_that_evicts_any_key_is_an_error(admin, look, policy):
    admin.config_set("maxmemory-policy", policy)

    findings = look()

    assert [("error", "eviction")] == bad(findings)
    assert policy in one(findings, "eviction").text
    assert "noeviction" in one(findings, "eviction").cure


@pytest.mark.parametrize("policy", ["noeviction", "volatile-ttl", "volatile-lru", "volatile-lfu"])
def test_server_that_evicts_no_queue_is_fine(admin, look, policy):
    admin.config_set("maxmemory-policy", policy)

    assert [] == bad(look())


def test_only_a_nearly_full_server_is_a_warning(admin, look):
    used = admin.info("memory")["used_memory"]
    admin.config_set("maxmemory", used * 20)
    roomy = look()
    admin.config_set("maxmemory", int(used * 1.2))
    full = look()

    assert [] == bad(roomy)
    assert [("warning", "memory")] == bad(full)


PERSISTENCE = {
    "nothing": ({"appendonly": "no", "save": ""}, "warning", "keeps nothing on disk"),
    "snapshots": ({"appendonly": "no", "save": "3600 1"}, "ok", "snapshots only, by save 3600 1"),
    "no fsync": ({"appendonly": "yes", "appendfsync": "no"}, "warning", "leaves it to the system"),
    "every second": ({"appendonly": "yes", "appendfsync": "everysec"}, "ok", "appendfsync everysec"),
    "always": ({"appendonly": "yes", "appendfsync": "always"}, "ok", "appendfsync always"),
}


@pytest.mark.parametrize("kept", PERSISTENCE)
def test_server_that_may_lose_writes_is_a_warning(admin, look, kept):
    settings, severity, text = PERSISTENCE[kept]
    for name, value in settings.items():
        admin.config_set(name, value)

    found = one(look(), "persistence")

    assert severity == found.severity
    assert text in found.text


@pytest.mark.parametrize(("shift", "told"), [(60, "60 s behind"), (-60, "60 s ahead of")])
def test_clocks_that_differ_are_a_warning(look, shift, told):
    findings = look(clock=lambda: time.time() + shift)

    assert [("warning", "clock")] == bad(findings)
    assert told in one(findings, "clock").text


def test_replica_is_an_error(admin, look):
    admin.replicaof("127.0.0.1", 1)

    assert [("error", "role")] == bad(look())


def test_node_of_a_cluster_is_an_error_unless_it_may_be_one():
    with (
        Valkey(tcp=True, options=f"cluster-enabled yes\ncluster-port {free_port()}") as node,
        Redis.from_url(node.url) as client,
    ):
        alone = check_server(client, subject="broker", place="here")
        clustered = check_server(client, subject="store", place="here", clustered=True)

    assert [("error", "cluster")] == bad(alone)
    assert [] == bad(clustered)


OLD = {
    "5.0.14": {"redis_version": "5.0.14"},
    "6.0.20": {"redis_version": "6.0.20"},
    "of unknown version": {},
    "strange": {"redis_version": "strange"},
}


@pytest.mark.parametrize("told", OLD)
def test_server_that_is_too_old_or_unknown_is_an_error(told):
    judge = _Judge("store", _Facts(info=OLD[told], config=None, clock_ahead=None))

    [found] = judge.version()

    assert "error" == found.severity
    assert told in found.text


@pytest.mark.parametrize("version", ["6.2.0", "7.0.1", "8.10.2", "10.0.0"])
def test_newer_redis_is_fine(version):
    judge = _Judge("store", _Facts(info={"redis_version": version}, config=None, clock_ahead=None))

    assert [("ok", f"is Redis {version}")] == [(found.severity, found.text) for found in judge.version()]


def test_user_that_may_not_ask_gets_warnings_and_no_error(admin, look):
    admin.execute_command(
        "ACL", "SETUSER", "small", "on", f">{SECRET}", "~*", "&*", "+@all", "-config", "-info"
    )

    findings = look(username="small", password=SECRET)

    assert [("warning", "version"), ("warning", "eviction"), ("warning", "persistence")] == bad(findings)
    assert all("unknown" in found.text for found in findings[1:])
    assert SECRET not in repr(findings)


def test_server_without_config_shows_everything_else(admin, look):
    admin.execute_command("ACL", "SETUSER", "small", "on", "nopass", "~*", "&*", "+@all", "-config")

    findings = look(username="small", password="any")

    assert [("warning", "persistence")] == bad(findings)
    assert "ok" == one(findings, "eviction").severity


@pytest.mark.parametrize("password", [None, f"{SECRET}-wrong"])
def test_refused_login_is_its_own_error_without_the_password(admin, look, password):
    admin.config_set("requirepass", SECRET)
    try:
        findings = look(password=password)
    finally:
        admin.config_set("requirepass", "")

    assert [("error", "login")] == bad(findings)
    assert SECRET not in repr(findings)


def test_store_whose_user_may_not_run_scripts_is_an_error(admin, server):
    admin.execute_command("ACL", "SETUSER", "small", "on", "nopass", "~*", "&*", "+@all", "-evalsha", "-eval")
    store = RedisStore.from_url(server.url.replace("unix://", "unix://small:any@"), namespace="test")

    findings = store.check()
    store.close()

    assert [("error", "scripts")] == bad(findings)


def test_store_that_ends_between_two_questions_is_unreachable_and_refuses_nothing(monkeypatch):
    with Valkey() as server:
        store = RedisStore.from_url(server.url, namespace="test")
        monkeypatch.setattr("askonce.adapters.redis.store.check_server", lambda *_, **__: server.kill() or [])

        findings = store.check()
        store.close()

    assert [("error", "reachable")] == bad(findings)


def test_check_of_a_store_writes_nothing(admin, server):
    admin.flushall()
    store = RedisStore.from_url(server.url, namespace="test")

    findings = store.check()
    store.close()

    assert HEALTHY == [found.name for found in findings]
    assert {"store"} == {found.subject for found in findings}
    assert [] == admin.keys("*")


def test_silent_server_is_named_without_its_password():
    with socket.create_server(("127.0.0.1", 0), backlog=64) as hole:
        port = hole.getsockname()[1]
        store = RedisStore.from_url(f"redis://ana:{SECRET}@127.0.0.1:{port}/3", namespace="test")
        began = monotonic()
        findings = store.check()
        store.close()

    assert monotonic() - began < stretched(10)
    assert [("error", "reachable")] == bad(findings)
    assert f"redis://127.0.0.1:{port}/3" in findings[0].text
    assert SECRET not in repr(findings)
    assert SECRET not in repr(store)


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@pytest.mark.parametrize("late", [1, 4])
def test_late_answers_are_no_news(server, late):
    with Redis.from_url(server.url) as client:
        client.connection_pool = Hesitant(client.connection_pool, late)

        findings = check_server(client, subject="store", place="here")

        assert [] == bad(findings)
        assert client.connection_pool.asked > late


class Hesitant:
    """A pool whose first connections are late."""

    def __init__(self, pool, late):
        self._pool, self._late, self.asked = pool, late, 0

    def get_connection(self, *arguments, **options):
        self.asked += 1
        if self.asked <= self._late:
            raise RedisTimeoutError
        return self._pool.get_connection(*arguments, **options)

    def __getattr__(self, name):
        return getattr(self._pool, name)
