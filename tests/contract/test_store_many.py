import pytest

from askonce.store import Admission

# One suite for every store: many claims in one round trip are decided as one after the other.


@pytest.fixture(params=["admit", "push"])
def admit_many(scene, request):
    """Admit many claims, with or without their messages."""
    if request.param == "admit":
        return scene.store.admit_many
    if scene.store.pusher is None:
        pytest.skip("its server is no broker")
    return lambda claims: list(scene.push_many(claims))


def keys(scene, count):
    """Keys in as many buckets."""
    return [scene.at(f"{number:02x}{scene.key[2:]}") for number in range(count)]


def outcomes(replies):
    return [reply.outcome for reply in replies]


def quarantined(one):
    one.run(max_attempts=1)
    one.fail()


def resting(one):
    one.run(max_attempts=1)
    one.fail(kind="transient", after=30.0, quarantine=False)


STATES = {
    "absent": lambda _: None,
    "queued": lambda one: one.admit(),
    "queued with options": lambda one: one.admit(expires=9.0, chosen=("queue",)),
    "running": lambda one: one.run(),
    "done": lambda one: one.done(),
    "stale": lambda one: one.done(soft=0.001),
    "other content": lambda one: one.admit("job-0", "fp-0"),
    "failed": lambda one: (one.run(), one.fail(kind="permanent")),
    "quarantined": quarantined,
    "resting": resting,
    "parked": lambda one: (one.run(), one.park()),
}
TERMS = {
    "plain": {},
    "force": {"force": True},
    "max age": {"max_age": 0.5},
    "reject": {"reject": True},
    "conflict": {"on_mismatch": "conflict"},
    "expires": {"expires": 600.0},
    "later": {"countdown": 5.0},
}


@pytest.mark.parametrize("terms", TERMS)
def test_many_claims_are_decided_as_each_alone(scene, admit_many, terms):
    for number, prepare in enumerate(STATES.values()):
        for one in (scene.at(f"{number:02x}{'a' * 62}"), scene.at(f"{number:02x}{'b' * 62}")):
            prepare(one)
    scene.clock.advance(1)

    alone = [
        scene.at(f"{number:02x}{'a' * 62}").admit("new", **TERMS[terms]) for number in range(len(STATES))
    ]
    claims = [scene.at(f"{n:02x}{'b' * 62}").claim("new", **TERMS[terms]) for n in range(len(STATES))]
    together = admit_many(claims)

    assert alone == [reply._replace(sent=False) for reply in together]
    states = [
        scene.at(f"{number:02x}{letter * 62}").read() for number in range(len(STATES)) for letter in "ab"
    ]
    assert states[::2] == states[1::2]


def test_claims_of_one_group_may_differ_in_everything(scene, admit_many):
    one, two, three = keys(scene, 3)
    two.done()

    replies = admit_many(
        [
            one.claim("job-a", task="orders", model="m", tenant="t", run="r"),
            two.claim("job-b", task="others"),
            two.claim("job-c", task="others", force=True),
            three.claim("job-d", countdown=9.0),
        ]
    )

    expected = [Admission.ADMITTED, Admission.HIT, Admission.ADMITTED, Admission.ADMITTED]
    assert expected == outcomes(replies)
    assert ["orders", "others", "orders"] == [each.read().task for each in (one, two, three)]
    assert ("r", "", 9.0) == (one.read().run, two.read().run, replies[3].record.wait)


def test_first_of_equal_claims_is_admitted_and_the_others_attach(scene, admit_many):
    replies = admit_many([scene.claim(f"job-{number}") for number in range(120)])

    assert [Admission.ADMITTED] + [Admission.ATTACHED] * 119 == outcomes(replies)
    assert {"job-0"} == {reply.record.job for reply in replies}


def test_later_content_of_a_key_takes_it_over(scene, admit_many):
    replies = admit_many([scene.claim("job-1", "fp-1"), scene.claim("job-2", "fp-2")])

    assert [Admission.ADMITTED] * 2 == outcomes(replies)
    assert ("job-2", "fp-2") == (scene.read().job, scene.read().fingerprint)


def test_same_claims_again_are_admitted_and_change_nothing(scene, admit_many):
    claims = [each.claim(f"job-{number}") for number, each in enumerate(keys(scene, 60))]
    first = admit_many(claims)
    before = scene.store.read([claim.job.key for claim in claims])

    again = admit_many(claims)

    assert first == again
    assert before == scene.store.read([claim.job.key for claim in claims])


def test_no_claims_have_no_replies(scene, admit_many):
    assert [] == admit_many([])


def test_each_outcome_of_a_group_is_counted_once(scene, admit_many):
    admit_many([scene.claim(f"job-{number}") for number in range(3)])

    counted = {counter.what: amount for counter, amount in scene.store.tally.totals().items()}
    assert {"admitted": 1, "attached": 2} == counted
