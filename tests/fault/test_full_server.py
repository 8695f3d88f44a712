"""A server that replies and refuses: each condition is made for real, and each actor meets it."""

from contextlib import closing, contextmanager, suppress
from dataclasses import replace

import pytest
from redis import Redis
from redis.exceptions import ResponseError

from askonce.adapters.redis import RedisStore
from askonce.answer import to_result
from askonce.enqueue import Producer
from askonce.errors import StoreUnavailable, Transient
from askonce.execute import Executor
from askonce.execution import Deferred, Delivery
from askonce.key import identify
from askonce.lease import LeaseRenewer
from askonce.outcomes import Admitted, Attached
from askonce.reaper import Reaper
from askonce.runner import Runner
from askonce.spec import JobSpec
from askonce.store import Write
from askonce.store_down.cache import LocalCache
from askonce.store_down.calls import LocalCalls
from askonce.store_down.spill import Spill
from sandbox.valkey import Valkey
from tests.deadlines import stretched
from tests.jobs import DELIVERED, OneQueue

pytestmark = pytest.mark.fault

SPEC = JobSpec(name="rates.fetch")


@contextmanager
def set_to(client, **changed):
    before = {name: client.config_get(name)[name] for name in map(with_dashes, changed)}
    for name, value in changed.items():
        client.config_set(with_dashes(name), value)
    try:
        yield
    finally:
        for name, value in before.items():
            client.config_set(name, value)


def with_dashes(name):
    return name.replace("_", "-")


def has_failed_to_save(client):
    persistence = client.info("persistence")
    if not persistence["rdb_bgsave_in_progress"]:
        # The server may begin one by itself in between.
        with suppress(ResponseError):
            client.bgsave()
    return persistence["rdb_last_bgsave_status"] == "err"


@contextmanager
def failed_save(client, tmp_path, eventually):
    """Let the server save to a folder that is gone."""
    lost = tmp_path / "lost"
    lost.mkdir()
    with set_to(client, dir=str(lost), save="3600 1000000", stop_writes_on_bgsave_error="yes"):
        lost.rmdir()
        try:
            eventually(lambda: has_failed_to_save(client))
            yield
        finally:
            lost.mkdir()  # to leave it, the server must find it


@contextmanager
def replica_of_none(client):
    client.replicaof("127.0.0.1", 1)
    try:
        yield
    finally:
        client.replicaof("NO", "ONE")


@contextmanager
def not_permitted(client, *commands):
    client.acl_setuser(
        "default", enabled=True, nopass=True, categories=["+@all"], keys=["*"], commands=commands
    )
    try:
        yield
    finally:
        everything = {"categories": ["+@all"], "keys": ["*"], "channels": ["*"]}
        client.acl_setuser("default", enabled=True, nopass=True, **everything)


REASONS = ["oom", "misconf", "noreplicas", "readonly", "noperm", "noperm for scripts"]


@pytest.fixture(scope="module")
def server():
    with Valkey(options="enable-protected-configs yes") as server:
        yield server


@pytest.fixture
def client(server):
    with Redis.from_url(server.url) as client:
        client.flushall()
        yield client


@pytest.fixture(params=REASONS)
def refusing(request, client, tmp_path, eventually):
    """The reason, and a context in which the server refuses for it."""
    contexts = {
        "oom": lambda: set_to(client, maxmemory="1"),
        "misconf": lambda: failed_save(client, tmp_path, eventually),
        "noreplicas": lambda: set_to(client, min_replicas_to_write="1"),
        "readonly": lambda: replica_of_none(client),
        "noperm": lambda: not_permitted(client, "-hset"),
        "noperm for scripts": lambda: not_permitted(client, "-eval", "-evalsha"),
    }
    return request.param.partition(" ")[0], contexts[request.param]


class Scene(OneQueue):
    """A producer and a worker on one store."""

    def __init__(self, store):
        self.store, self.heard, self.sent = store, [], []
        store.report_to(self.heard.append)
        self.spill = Spill(interval=0.01, listen=self.heard.append)
        self.producer = Producer(store=store, sender=self, listen=self.heard.append)
        self.executor = Executor(
            store=store, leases=LeaseRenewer(store), spill=self.spill, listen=self.heard.append
        )
        local = LocalCalls(store, LocalCache(), self.spill)
        self.runner = Runner(executor=self.executor, local=local)

    def send(self, message):
        self.sent.append(message.job)

    def enqueue(self, n=1, spec=SPEC):
        return self.producer.enqueue(spec, {"n": n})

    def work(self, body):
        return self.runner.run(Delivery(spec=SPEC, job=self.sent[-1]), body)

    def read(self, n=1):
        return self.store.read([identify(SPEC, {"n": n}).key])[0]

    @property
    def names(self):
        return [event.name for event in self.heard]

    def reasons(self, name):
        return {event.data.get("reason") for event in self.heard if event.name == name}


@pytest.fixture
def scene(server, client):
    with closing(RedisStore.from_url(server.url, namespace="full")) as store:
        store.read(["0" * 64])
        yield Scene(store)


def never():
    pytest.fail("the body was run")


def is_heard(scene, reason):
    """A replica is left, so it is down; the others refuse."""
    if reason == "readonly":
        return "store.refused" not in scene.names
    return scene.reasons("store.refused") == {reason}


def test_caller_is_refused_with_the_servers_reason(scene, refusing):
    reason, refuses = refusing
    with refuses(), pytest.raises(StoreUnavailable) as caught:
        scene.enqueue()

    assert (reason, True) == (caught.value.reason, caught.value.server.endswith("/s?db=0"))
    assert is_heard(scene, reason)
    assert [] == scene.sent
    assert isinstance(scene.enqueue(), Admitted)


def test_duplicate_writes_nothing_and_is_attached(request, scene, refusing):
    _, refuses = refusing
    first = scene.enqueue()
    with refuses():
        if "scripts" in request.node.name:
            with pytest.raises(StoreUnavailable):
                scene.enqueue()
        else:
            again = scene.enqueue()
            assert (Attached, first.job) == (type(again), first.job)

    assert 1 == len(scene.sent)


def test_worker_makes_no_call_that_it_cannot_lease(scene, refusing):
    reason, refuses = refusing
    scene.enqueue()
    with refuses(), pytest.raises(StoreUnavailable, match=f"reason={reason}"):
        scene.work(never)

    assert ("queued", 0) == (scene.read().flight, scene.read().attempts)


def test_paid_answer_waits_until_the_server_has_room(scene, refusing):
    reason, refuses = refusing
    scene.enqueue()
    context = refuses()

    executed = scene.work(lambda: context.__enter__() or "paid")
    waiting = scene.spill.bytes
    context.__exit__(None, None, None)

    assert 0 == scene.spill.drain(stretched(10))
    assert "paid" == to_result("k", "j", scene.read().value).value
    if reason == "oom" and executed.stored is Write.OK:
        return  # a script that frees memory first may go on
    assert Write.UNAVAILABLE is executed.stored
    assert waiting > 0
    assert ["job.unstored", "job.stored_late"] == [name for name in scene.names if "stored" in name]
    assert is_heard(scene, reason)


def test_call_that_fails_on_a_full_server_is_made_again(scene, refusing):
    _, refuses = refusing
    scene.enqueue()
    context = refuses()

    def fail():
        context.__enter__()
        raise Transient("http_503")

    executed = scene.work(fail)
    context.__exit__(None, None, None)

    assert isinstance(executed, Deferred)
    assert scene.read().flight in ("running", "queued"), "its lease ends by itself"


@pytest.mark.long
def test_reaper_sends_a_lost_job_when_the_server_has_room(scene, refusing, eventually):
    reason, refuses = refusing
    scene.enqueue(spec=replace(SPEC, queue_deadline=0.001))
    eventually(lambda: scene.read().deadline_in < 0)
    resent = []
    reaper = Reaper(
        scene.store, resent.append, interval=0.1, delivered=lambda: DELIVERED, listen=scene.heard.append
    )
    try:
        with refuses():
            reaper.start()
            eventually(lambda: "reaper.failed" in scene.names)
            assert [] == resent
        eventually(lambda: resent)
    finally:
        reaper.stop()

    assert scene.sent[0].id == resent[0].job.id
    assert is_heard(scene, reason)
