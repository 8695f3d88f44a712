import re
from contextlib import closing
from dataclasses import dataclass
from hashlib import sha1

import pytest
from redis import Redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from askonce.adapters.redis import RedisStore
from askonce.adapters.redis.scripts import sources
from askonce.answer import Encoded
from askonce.lost import Resent
from askonce.store import Failing, Push
from sandbox.valkey import Valkey
from tests.deadlines import stretched
from tests.jobs import DELIVERED, TTL, new_claim, new_lease
from tests.servers.proxy import Proxy

pytestmark = [
    pytest.mark.fault,
    pytest.mark.redis_broker("its servers and links are Redis's"),
    pytest.mark.long,
]

KEY = "0a" + "0" * 62
CLAIM, LEASE = new_claim(KEY, task="orders"), new_lease(KEY)
OTHER = new_claim("0b" + "0" * 62, "job-2", task="orders")


@dataclass
class Verb:
    """One verb, and what has to be there before it is said."""

    before: tuple
    say: object


def admit(store):
    return store.admit(CLAIM)


def publish(store):
    return store.pusher.admit_and_push(Push(CLAIM, "queue", b"message", "{}"), "tag")


def publish_many(store):
    pushes = [Push(CLAIM, "queue", b"message", "{}"), Push(OTHER, "queue", b"other", "{}")]
    return list(store.pusher.admit_and_push_many(pushes))


def start(store):
    return store.start(CLAIM.job, LEASE)


VERBS = {
    "admit": Verb((), admit),
    "admit_many": Verb((), lambda store: store.admit_many([CLAIM, OTHER])),
    "publish": Verb((), publish),
    "publish_many": Verb((), publish_many),
    "start": Verb((admit,), start),
    "renew": Verb((admit, start), lambda store: store.renew([new_lease(KEY, seconds=60.0)])),
    "checkpoint": Verb((admit, start), lambda store: store.checkpoint(LEASE, "resp-1")),
    "complete": Verb((admit, start), lambda store: store.complete(LEASE, Encoded(b'j"a"', b"{}"), TTL)),
    "fail": Verb((admit, start), lambda store: store.fail(LEASE, Failing(kind="transient", reason="x"))),
    "park": Verb((admit, start), lambda store: store.park(LEASE, "http_429", 9.0, 60.0)),
    "cancel": Verb((admit,), lambda store: store.cancel(KEY)),
    "resent": Verb((admit,), lambda store: store.resent([Resent(KEY, CLAIM.job.id, 7)])),
    "reap": Verb((admit,), lambda store: store.reap([int(KEY[:2], 16)], DELIVERED)),
    "invalidate": Verb((admit, start), lambda store: store.invalidate(KEY)),
}


@pytest.fixture(scope="module")
def server():
    with Valkey(tcp=True) as server:
        yield server


@pytest.fixture
def say(server, new_server_clock):
    """Say a verb, with its reply lost or not: what the speaker heard, and all that the server has then."""
    with Redis.from_url(server.url) as client, Proxy(server.port) as proxy:

        def run(verb, lose):
            client.flushall()
            clock = new_server_clock(client)
            for script in sources(clock.lua).values():
                client.script_load(script)
            link = Redis(port=proxy.port, socket_timeout=stretched(20), retry=Retry(NoBackoff(), 0))
            with closing(RedisStore(link, namespace="test", clock=clock.lua)) as store:
                store.read([KEY])  # so that the link is there and has said hello
                for earlier in verb.before:
                    earlier(store)
                lost = proxy.drop_reply() if lose else None
                heard = verb.say(store)
                assert not lose or lost.wait(stretched(5))
            return heard, everything(client)

        yield run


def everything(client):
    read = {b"hash": client.hgetall, b"zset": lambda key: client.zrange(key, 0, -1, withscores=True)}
    read |= {b"string": client.get, b"list": lambda key: client.lrange(key, 0, -1)}
    return {key: read[client.type(key)](key) for key in client.scan_iter()}


@pytest.mark.parametrize("verb", VERBS.values(), ids=VERBS)
def test_verb_whose_reply_is_lost_took_effect_once(say, verb):
    heard, kept = say(verb, lose=False)

    assert (heard, kept) == say(verb, lose=True)


def test_answer_whose_reply_is_lost_twice_is_reported_stored(say):
    heard, kept = say(Verb((admit, start, VERBS["complete"].say), VERBS["complete"].say), lose=True)

    assert (heard, kept) == say(VERBS["complete"], lose=False)


@pytest.fixture
def scene(new_linked_scene):
    scene = new_linked_scene(together=True)
    for script in sources().values():
        scene.client.script_load(script)
    return scene


def test_enqueue_whose_reply_is_lost_sends_one_message(scene):
    asker, meetings = scene.new_asker(), scene.meetings(2)
    asker.ask("meetings.extract", meetings[0])
    lost = scene.to_records.drop_reply(sha1(sources()["publish"].encode()).hexdigest().encode())

    told = asker.ask("meetings.extract", meetings[1])

    assert lost.is_set()
    assert ("Admitted", 2) == (told["asked"], scene.queue.waiting())


@pytest.mark.parametrize("verb", ["start", "renew", "complete"])
def test_job_of_which_a_reply_is_lost_is_one_call(scene, verb):
    scene.machine.start_worker("-P", "threads", "-c", "4")
    scene.machine.control(hold=True)
    lost = scene.to_records.drop_reply(sha1(sources()[verb].encode()).hexdigest().encode())

    told = scene.new_asker().ask("meetings.extract", scene.meetings(1)[0])
    assert scene.machine.wait_for_held(1, stretched(30))
    assert verb != "renew" or lost.wait(stretched(20))
    scene.let_go()
    scene.wait_until_done([told["key"]])

    assert lost.wait(stretched(20))
    assert (1, 1) == (scene.machine.ledger.openai.calls, scene.record(told["key"]).attempts)
    # One owner and one message: nobody was fenced, nor was anybody told that the job is somebody else's.
    scene.wait_until_quiet()
    assert not re.findall("job.(?:fenced|skipped|reused)", scene.log())


def test_job_whose_reaper_got_no_reply_is_one_call(new_linked_scene):
    scene = new_linked_scene(together=True, JOB_QUEUE_DEADLINE="1")
    [key] = scene.submit("meetings.extract", scene.meetings(1))
    scene.client.delete(scene.queue.NAME)
    scene.eventually(lambda: scene.record(key).deadline_in <= 0, 10)
    # Only reaping names an index as its one key.
    index = f"{{askonce:jobs:b{key[:2]}}}:idx"
    lost = scene.to_records.drop_reply(f"\r\n$1\r\n1\r\n${len(index)}\r\n{index}".encode())

    scene.machine.start_worker("-P", "threads", "-c", "4")
    scene.wait_until_done([key], 30)

    assert lost.is_set()
    assert (1, 1) == (scene.machine.ledger.openai.calls, scene.record(key).attempts)


def test_message_sent_twice_after_a_lost_reply_is_one_call(new_linked_scene):
    scene = new_linked_scene()
    asker, [meeting] = scene.new_asker(), scene.meetings(1)
    lost = scene.to_messages.drop_reply(b"LPUSH")

    told = asker.ask("meetings.extract", meeting)
    sent = scene.queue.waiting()
    scene.machine.control(hold=True)
    scene.machine.start_worker("-P", "threads", "-c", "4")
    scene.eventually(lambda: "job.skipped" in scene.log(), 30)
    scene.let_go()
    scene.wait_until_done([told["key"]])
    scene.wait_until_quiet()

    assert lost.is_set()
    assert ("Admitted", 2) == (told["asked"], sent)
    assert (1, 1) == (scene.machine.ledger.openai.calls, scene.record(told["key"]).attempts)
