import pytest

from askonce import bill
from askonce.answer import Meta
from askonce.controls import Mark, Pause
from askonce.job import Routing
from askonce.spend import Spend
from tests.contract.key_under_test import KEY, KeyUnderTest

# The bytes of a record outlive a deployment: processes of two versions read and write the same ones. A change
# of these constants is a change of LAYOUT.

pytestmark = pytest.mark.integration

MARKS, DUE = "{askonce:test:bff}:marks", "{askonce:test:b0a}:due"
RECORD, INDEX = f"{{askonce:test:b0a}}:rec:{KEY}", "{askonce:test:b0a}:idx"
#: A job that rests after its first attempt, beside the stale answer of the job before.
RESTING = {
    b"lv": b"2",
    b"task": b"orders",
    b"fp": b"fp-1",
    b"fl": b"queued",
    b"job": b"job-2",
    b"fen": b"4102444860000000",
    b"dl": b"4102444869000",
    b"att": b"1",
    b"nx": b"4102444869000",
    b"ask": b'3\n60000\n4102444860000\n4102448460000\nacme\ngpt\n7\nslow\n3\n60.0,50.0\n{"trace":"t"}',
    b"at": b"0",
    b"run": b"night",
    b"env": b'{"n":1}',
    b"ref": b"resp-1",
    b"val": b'j"answer"',
    b"vm": b'{"source":"call","attempts":1,"cost_usd":0.25,"usage":{"input_tokens":7}}',
    b"vf": b"4102444800000000",
    b"vt": b"4102444800000",
    b"sx": b"4102444860000",
    b"hx": b"4102450800000",
    b"uc": b"250000",
    b"ek": b"transient",
    b"er": b"http_503",
    b"ej": b"job-2",
    b"eo": b"owner-2",
    b"ex": b"4102444989000",
    b"hist": b"http_503",
    b"sp": b'{"job":"job-2","attempts":1,"calls":2,"cost_usd":0.25,"usage":{"input_tokens":7}}',
    b"xp": b"4103049669000",
}
#: What its attempt cost.
SPENT = Spend(usage={"input_tokens": 7}, cost_usd=0.25, calls=2)
#: A job that was cancelled while its call is under way.
CANCELLED = {
    b"lv": b"2",
    b"task": b"orders",
    b"fp": b"fp-1",
    b"fl": b"running",
    b"job": b"job-1",
    b"own": b"owner-1",
    b"fen": b"4102444800000000",
    b"dl": b"4102444830000",
    b"att": b"1",
    b"ask": b"3\n60000\n4102444800000\n0\n\n\n1\n\n\n\n",
    b"env": b'{"n":1}',
    b"ek": b"cancelled",
    b"er": b"cancelled",
    b"ej": b"job-1",
    b"ex": b"4103049600000",
    b"xp": b"4103049630000",
}
#: A job that ended with a fallback.
FALLBACK = {
    b"lv": b"2",
    b"task": b"orders",
    b"fp": b"fp-1",
    b"fl": b"idle",
    b"job": b"job-1",
    b"fen": b"4102444800000000",
    b"dl": b"4102444830000",
    b"att": b"1",
    b"nx": b"4102444800000",
    b"ask": b"3\n60000\n4102444800000\n0\n\n\n1\n\n\n\n",
    b"ek": b"fallback",
    b"er": b"default",
    b"ej": b"job-1",
    b"eo": b"owner-1",
    b"ex": b"4102444920000",
    b"ed": b"j0",
    b"em": b'{"source":"default","attempts":1,"cost_usd":null,"usage":{}}',
    b"hist": b"default",
    b"xp": b"4102448400000",
}


@pytest.fixture
def scene(client, server_clock, shifted_store):
    return KeyUnderTest(shifted_store, server_clock)


BROUGHT = {
    "version": "7",
    "tenant": "acme",
    "model": "gpt",
    "run": "night",
    "routing": Routing("slow", 3, 60.0, 50.0, '{"trace":"t"}'),
}


def rest(scene):
    scene.run(version="7", tenant="acme")
    scene.complete(soft=60.0, hard=6000.0, micro_usd=250_000)
    scene.clock.advance(60)
    scene.run("owner-2", "job-2", expires=3600.0, **BROUGHT)
    scene.checkpoint("owner-2", "resp-1")
    scene.fail("owner-2", after=9.0, keep=120.0, spent=bill.encode("job-2", 1, SPENT))


def fall_back(scene):
    scene.run()
    meta = Meta(source="default").encode()
    scene.fail(kind="fallback", reason="default", data=b"j0", meta=meta, keep=120.0)


def cancel_under_way(scene):
    scene.run()
    scene.cancel()


@pytest.mark.parametrize(
    ("act", "record", "index"),
    [
        (rest, RESTING, [(KEY.encode(), 4102444869000.0)]),
        (cancel_under_way, CANCELLED, [(KEY.encode(), 4102444830000.0)]),
        (fall_back, FALLBACK, []),
    ],
    ids=["resting", "cancelled", "fallback"],
)
def test_record_and_index_have_the_pinned_bytes(scene, client, act, record, index):
    act(scene)

    assert record == client.hgetall(RECORD)
    assert index == client.zrange(INDEX, 0, -1, withscores=True)
    assert int(record[b"xp"]) == client.pexpiretime(RECORD)


@pytest.mark.parametrize("expires", [None, 30.0, 3600.0])
@pytest.mark.parametrize("brought", [{}, BROUGHT], ids=["nothing", "everything"])
def test_new_record_is_the_same_in_a_bucket_with_pauses(scene, client, brought, expires):
    def admitted():
        reply = scene.admit(expires=expires, **brought)
        index = client.zrange(INDEX, 0, -1, withscores=True)
        record, until = client.hgetall(RECORD), client.pexpiretime(RECORD)
        client.delete(RECORD, INDEX)
        return reply, index, record, until

    without = admitted()
    scene.store.controls.pause(Pause("task", "others"), "")

    assert without == admitted()


def test_marks_of_a_bucket_have_the_pinned_bytes(scene, client):
    scene.store.controls.mark(Mark("version", "orders", "2"))
    scene.clock.advance(1)
    scene.store.controls.mark(Mark("version", "orders", "2", mode="expire"))
    scene.store.controls.mark(Mark("all"))

    assert client.hgetall(MARKS) == {
        b"version\norders\n2": b"4102444800000000 4102444801000000 4102531201000",
        b"all": b"4102444801000000 0 4102531201000",
        b"until": b"4102531201000",
        b"latest": b"4102444801000000",
    }
    assert 4102531201000 == client.pexpiretime(MARKS)


@pytest.mark.parametrize(("mode", "kept"), [("remove", False), ("expire", True)])
def test_sweep_deletes_what_a_mark_removed(scene, client, mode, kept):
    scene.done()
    scene.store.controls.mark(Mark("task", "orders", mode=mode))
    scene.clock.advance(60)
    scene.reap()

    assert [kept] * 3 == [client.hexists(RECORD, name) for name in ("val", "vm")] + [client.exists(DUE) == 1]


def test_payload_that_is_kept_leaves_with_its_answer(scene, client):
    scene.done(hard=90.0, keep_payload=True)
    scene.run("owner-2", "job-2", force=True)
    scene.fail("owner-2", "permanent", keep=600.0)
    seen = []
    for _ in range(2):
        scene.clock.advance(61)
        scene.reap()
        seen.append(client.hexists(RECORD, "env"))

    assert [True, False] == seen


def test_sweep_leaves_the_run_that_follows_a_removed_answer(scene, client):
    scene.done()
    scene.store.controls.mark(Mark("task", "orders"))
    scene.clock.advance(1)
    scene.admit("job-2")
    scene.start("owner-2", "job-2", lease=300.0)
    scene.clock.advance(59)
    before = scene.read()
    scene.reap()

    assert before == scene.read()
    assert [False, True] == [client.hexists(RECORD, name) for name in ("val", "env")]


def test_pinned_bytes_are_read_as_a_record(scene, client):
    client.hset(RECORD, mapping=RESTING)
    scene.clock.set(4_102_444_860_000_000)

    seen = scene.read()

    assert ("queued", "job-2", "orders", "fp-1") == (seen.flight, seen.job, seen.task, seen.fingerprint)
    assert (1, 9.0, 9.0, "resp-1", 4_102_444_860_000_000) == (
        seen.attempts,
        seen.wait,
        seen.deadline_in,
        seen.checkpoint,
        seen.fence,
    )
    assert (b'j"answer"', 60.0, False, 4_102_444_800_000_000) == (
        seen.value.data,
        seen.value.age,
        seen.value.fresh,
        seen.value.fence,
    )
    assert Meta(attempts=1, spend=Spend(usage={"input_tokens": 7}, cost_usd=0.25)) == seen.value.meta
    assert ("transient", "http_503", "job-2", 129.0, None, SPENT) == (
        seen.failure.kind,
        seen.failure.reason,
        seen.failure.job,
        seen.failure.remaining,
        seen.failure.fallback,
        seen.failure.spend,
    )


def test_record_of_an_older_version_has_no_known_cost(scene, client):
    client.hset(RECORD, mapping={name: value for name, value in RESTING.items() if name != b"sp"})
    scene.clock.set(4_102_444_869_000_000)

    assert scene.read().failure.spend == Spend()
    assert scene.start("owner-3", "job-2").record.spent == Spend()


def test_pinned_bytes_of_a_lost_job_give_the_whole_job(scene, client):
    client.hset(RECORD, mapping=RESTING)
    client.zadd(INDEX, {KEY: 4102444869000})
    scene.clock.set(4_102_444_869_000_000)

    job = scene.job("job-2", **BROUGHT, admitted_at=4_102_444_860_000)
    assert [(job, 0, 4_102_444_869_000, False)] == [tuple(lost) for lost in scene.reap()]


def test_pinned_bytes_of_a_fallback_reach_its_waiters(scene, client):
    client.hset(RECORD, mapping=FALLBACK)

    fallback = scene.read().failure.fallback

    assert (b"j0", Meta(source="default")) == (fallback.data, fallback.meta)
