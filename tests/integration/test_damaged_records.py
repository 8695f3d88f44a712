from contextlib import closing

import pytest

from askonce.adapters.redis import RedisStore
from askonce.adapters.redis.claims import arguments
from askonce.answer import Ttl
from askonce.controls import Mark
from askonce.due import Walked
from askonce.errors import LayoutNewer, RecordDamaged, StoreUnavailable
from askonce.job import JobId
from askonce.lost import Lost, Resent
from askonce.store import Failing, Renewal, Write
from tests.jobs import ANSWER, DELIVERED, TTL, new_claim, new_job, new_lease

pytestmark = pytest.mark.integration

#: In one bucket, whose index they share.
WELL, WRONG_TYPE, NO_NUMBER, NEWER = ("0a" + f"{n}" * 62 for n in range(4))
DAMAGED = [WRONG_TYPE, NO_NUMBER, NEWER]
SECRET = "4711"


def name_of(key):
    return f"{{askonce:test:b0a}}:rec:{key}"


@pytest.fixture
def store(store_url):
    with closing(RedisStore.from_url(store_url, namespace="test")) as store:
        yield store


@pytest.fixture
def damaged(store, client):
    """A store with four running jobs, where something else wrote to the records of three."""
    for key in (WELL, *DAMAGED):
        store.admit(new_claim(key))
        store.start(new_job(key), new_lease(key))
    client.set(name_of(WRONG_TYPE), SECRET)
    client.hset(name_of(NO_NUMBER), mapping={"xp": SECRET + "x", "dl": SECRET + "x"})
    client.hset(name_of(NEWER), "lv", 99)
    return store


def test_damaged_record_costs_no_other_record_its_reply(damaged):
    replies = damaged._scripts.run_on_each("read", [(key, ()) for key in (*DAMAGED, WELL)])

    assert [RecordDamaged, RecordDamaged, LayoutNewer, list] == [type(reply) for reply in replies]
    assert DAMAGED == [reply.key for reply in replies[:3]]
    assert "wrong_type" == replies[0].reason
    assert replies[1].reason.startswith("script_line_")
    assert SECRET not in str(replies)


@pytest.mark.parametrize("key", DAMAGED[:2], ids=["type", "number"])
@pytest.mark.parametrize(
    "verb",
    [
        lambda store, key: store.read([key])[0].checked(),
        lambda store, key: store.admit(new_claim(key)),
        lambda store, key: store.start(new_job(key), new_lease(key)),
        lambda store, key: store.complete(new_lease(key), ANSWER, TTL),
    ],
    ids=["read", "admit", "start", "complete"],
)
def test_verb_on_a_damaged_record_raises_its_own_error(damaged, verb, key):
    with pytest.raises(RecordDamaged) as caught:
        verb(damaged, key)

    assert key == caught.value.key
    assert SECRET not in str(caught.value)


NUMBERS = ("fen", "att", "rep", "dl", "nx", "ex", "vf", "vt", "sx", "hx", "uc", "xp")
VERBS = {
    "hit": lambda store: store.hit(new_job(WELL)),
    "read": lambda store: store.read([WELL])[0].checked(),
    "show": lambda store: store.flights.show([WELL])[0].checked(),
    "letters": lambda store: store.letters.show([WELL], payload=False),
    "answers": lambda store: store.due.answers([Walked(10)]),
    "admit": lambda store: store.admit(new_claim(WELL, "job-9")),
    "start": lambda store: store.start(new_job(WELL), new_lease(WELL)),
    "fail": lambda store: store.fail(new_lease(WELL), Failing(kind="transient", reason="http_503")),
}


@pytest.mark.parametrize(
    "damage",
    [*((number, SECRET + "x") for number in NUMBERS), *((text, b"\xff\xfe") for text in ("job", "vm"))],
    ids=[*NUMBERS, "job", "vm"],
)
def test_field_that_is_damaged_is_an_error_of_its_record_or_none(store, client, damage):
    store.admit(new_claim(WELL))
    store.start(new_job(WELL), new_lease(WELL))
    store.complete(new_lease(WELL), ANSWER, Ttl(30.0, 600.0))
    client.hset(name_of(WELL), *damage)

    errors = [error for verb in VERBS.values() if (error := error_of(verb, store)) is not None]

    assert {WELL} >= {error.key for error in errors}
    assert SECRET not in str(errors)


def error_of(verb, store):
    """Return the error of a damaged record; fail on any that is no error of this package."""
    try:
        verb(store)
    except RecordDamaged as error:
        return error
    except (TypeError, ValueError, AttributeError) as error:
        pytest.fail(repr(error))
    return None


@pytest.mark.parametrize(
    ("verb", "field", "value"),
    [("hit", "job", b"\xff\xfe"), ("read", "vt", SECRET + "x")],
    ids=["bytes that are no text", "no number"],
)
def test_reply_that_cannot_be_read_is_a_damaged_record(store, client, verb, field, value):
    store.admit(new_claim(WELL))
    store.start(new_job(WELL), new_lease(WELL))
    store.complete(new_lease(WELL), ANSWER, Ttl(30.0, 600.0))
    client.hset(name_of(WELL), field, value)

    with pytest.raises(RecordDamaged) as caught:
        VERBS[verb](store)

    assert WELL == caught.value.key


def test_damaged_record_costs_no_other_run_its_lease(damaged):
    renewals = damaged.renew([new_lease(key) for key in (*DAMAGED, WELL)])

    assert [Renewal.FENCED, Renewal.FENCED, Renewal.FENCED, Renewal.OK] == renewals


def test_damaged_record_counts_no_message_and_costs_no_other_its_count(damaged):
    sent = [Resent(key, JobId("job-1"), 1) for key in (*DAMAGED, WELL)]

    assert [Write.FENCED] * 4 == damaged.resent(sent)


#: What else writes to a record, given a client and the record's name.
DAMAGES = {
    "type": lambda client, name: client.set(name, SECRET),
    "number": lambda client, name: client.hset(name, "dl", SECRET + "x"),
    "task no text": lambda client, name: client.hset(name, "task", b"\xff\xfe"),
    "job no text": lambda client, name: client.hset(name, "job", b"\xff\xfe"),
    "run no text": lambda client, name: client.hset(name, "run", b"\xff\xfe"),
    "admission": lambda client, name: client.hset(name, "ask", SECRET),
}


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_damaged_record_costs_no_other_job_its_rescue(client, server_clock, shifted_store, damage):
    others = ["0a" + f"{n:062x}" for n in range(5)]
    for key in (WRONG_TYPE, *others):
        shifted_store.admit(new_claim(key))
        server_clock.advance(0.001)
    damage(client, name_of(WRONG_TYPE))
    server_clock.advance(60)

    looked_at = shifted_store.reap([10], DELIVERED)

    [damaged] = [each for each in looked_at if isinstance(each, RecordDamaged)]
    assert WRONG_TYPE == damaged.key
    assert SECRET not in str(damaged)
    assert others == [each.job.key for each in looked_at if isinstance(each, Lost)]


#: What the callers' part of an admission is not.
DAMAGES_OF_ANSWERS = DAMAGES | {"names": lambda client, name: client.hset(name, "ask", "1\n2\n3\n0\nx")}


@pytest.fixture(params=DAMAGES_OF_ANSWERS.values(), ids=DAMAGES_OF_ANSWERS)
def damaged_answer(request, client, shifted_store):
    """Two answers, of which one is damaged."""
    for key in (WRONG_TYPE, NO_NUMBER):
        answered(shifted_store, key)
    request.param(client, name_of(WRONG_TYPE))
    return shifted_store


def unharmed(verb, *args):
    """Return what *verb* returns; fail where a damaged record costs it all of its reply."""
    try:
        return verb(*args)
    except (RecordDamaged, StoreUnavailable) as error:
        pytest.fail(str(error))


def answered(store, key):
    store.admit(new_claim(key))
    store.start(new_job(key), new_lease(key))
    store.complete(new_lease(key), ANSWER, Ttl(30.0, 600.0))
    store.admit(new_claim(key, "job-2"))


def test_damaged_answer_costs_no_other_its_sweep_and_no_job_its_rescue(client, server_clock, damaged_answer):
    damaged_answer.admit(new_claim(WELL))
    damaged_answer.controls.mark(Mark("all"))
    server_clock.advance(60)

    looked_at = unharmed(damaged_answer.reap, [10], DELIVERED)

    assert [WELL] == [each.job.key for each in looked_at if isinstance(each, Lost)]
    assert 0 == client.hexists(name_of(NO_NUMBER), "val")


def test_damaged_answer_hides_no_other_that_is_kept_or_goes_stale(server_clock, damaged_answer):
    damaged_answer.controls.mark(Mark("all", mode="expire"))
    server_clock.advance(1)
    answered(damaged_answer, WELL)

    kept, _ = unharmed(damaged_answer.due.answers, [Walked(10)])
    going_stale = unharmed(damaged_answer.due.going_stale, [10], "t", 60.0)

    assert {NO_NUMBER, WELL} <= {each.key for each in kept}
    assert [WELL] == [each.key for each in going_stale if each.key != WRONG_TYPE]


#: What hides who a dead letter is.
OF_LETTERS = {name: (DAMAGES[name], "record_damaged") for name in ("type", "task no text", "run no text")}
OF_LETTERS["newer"] = lambda client, name: client.hset(name, "lv", 99), "layout_newer"


@pytest.mark.parametrize(("damage", "reason"), OF_LETTERS.values(), ids=OF_LETTERS)
def test_damaged_dead_letter_is_listed_with_that_reason_and_hides_no_other(client, store, damage, reason):
    for key in (WRONG_TYPE, WELL):
        store.admit(new_claim(key, max_attempts=1))
        store.start(new_job(key), new_lease(key))
        store.fail(new_lease(key), Failing(kind="transient", reason="http_503"))
    damage(client, name_of(WRONG_TYPE))

    damaged, well = store.letters.show([WRONG_TYPE, WELL])

    assert (WRONG_TYPE, reason, "") == (damaged.job.key, damaged.reason, damaged.job.task)
    assert (WELL, "t") == (well.job.key, well.job.task)


def test_full_server_is_no_damaged_record(store, client):
    client.config_set("maxmemory", "1")
    try:
        with pytest.raises(StoreUnavailable, match="reason=oom"):
            store.admit(new_claim(WELL))
        with pytest.raises(StoreUnavailable, match="reason=oom"):
            store._scripts.run_on_each("admit", [(WELL, arguments(new_claim(WELL)))])
    finally:
        client.config_set("maxmemory", "0")


def test_index_that_cannot_be_swept_costs_no_answer(store, client):
    store.admit(new_claim(WELL))
    store.start(new_job(WELL), new_lease(WELL))
    client.execute_command("ACL", "SETUSER", "default", "-zrangebyscore")
    try:
        stored = unharmed(store.complete, new_lease(WELL), ANSWER, TTL)
    finally:
        client.execute_command("ACL", "SETUSER", "default", "+zrangebyscore")

    assert Write.OK is stored
    assert store.read([WELL])[0].value.fresh
