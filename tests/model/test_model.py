import inspect

import pytest

from askonce.adapters.redis.scripts import VERBS
from tests.model import verbs
from tests.model.explore import explore
from tests.model.variants import BUILT, VARIANTS
from tests.model.world import Budget

#: Kinds of bad luck, each of which may strike in every order and at every moment.
MIXES = {
    "delivery": Budget(callers=3, ages=2, losses=2, copies=3, delays=1),
    "workers": Budget(callers=2, crashes=1, stalls=2, copies=1, losses=1, delays=1),
    "workers while the answer ages": Budget(callers=2, ages=1, crashes=1, stalls=1, copies=2, losses=1),
    "calls": Budget(callers=2, ages=1, failures=2, stalls=1, copies=2),
    "lost record": Budget(callers=2, record_losses=1, copies=2, stalls=1),
    "two lost records": Budget(callers=1, record_losses=2, copies=1, crashes=1),
    "dead claims": Budget(callers=2, copies=1, stalls=1, delays=1, record_losses=1),
    "a bit of everything": Budget(callers=2, losses=1, crashes=1, stalls=1, failures=1, record_losses=1),
    "operator": Budget(callers=2, invalidations=1, copies=1, stalls=1, releases=1),
}


@pytest.mark.parametrize("mix", MIXES)
def test_rules_hold_whatever_goes_wrong(mix):
    explored = explore(BUILT, MIXES[mix])

    assert explored.states > 1000
    # The answer of an owner whose last attempt was quarantined: see below.
    assert set() == explored.broken.keys(), str(explored)


def test_bad_luck_is_more_than_a_name():
    steps = explore(BUILT, MIXES["dead claims"]).steps

    assert {
        "a caller enqueues: resend",
        "the reaper sends job 1 again",
        "the waiter enqueues again: admitted",
        "a worker admits job 1: admitted",
        "a worker admits job 1: attached",
        "a worker starts job 1: superseded",
        "owner 1 completes: fenced",
        "owner 1 completes: absent",
        "owner 1 renews: ok",
    } <= steps


@pytest.mark.parametrize("variant", VARIANTS)
def test_broken_design_is_caught(variant):
    rules, breaks, budget = VARIANTS[variant]

    sound, broken = explore(BUILT, budget), explore(rules, budget, until=breaks)

    assert set() == sound.broken.keys(), "the budget alone breaks it"
    assert breaks in broken.broken


def test_copy_that_outlives_the_record_is_called_again():
    # A limit: the message admits its job, as if the record was lost. It needs a broker that keeps messages
    # longer than the store keeps records.
    done = explore(BUILT, Budget(ages=1, expiries=1, copies=1), until="I5")
    failed = explore(BUILT, Budget(failures=1, expiries=1, copies=1), until="I5")

    assert "the answer runs out" in done.broken["I5"]
    assert "the failure runs out" in failed.broken["I5"]


def test_lost_record_and_stalled_worker_explain_two_calls():
    # A limit: the worker finds the record gone, and admits its old job when the next is done and stale.
    explored = explore(BUILT, Budget(ages=1, record_losses=1, copies=1), until="I5")

    history = explored.broken["I5"]
    assert history.index("a worker starts job 1: absent") < history.index("the answer grows stale")


def test_model_has_every_verb():
    functions = {name for name, _ in inspect.getmembers(verbs, inspect.isfunction)}

    assert set(VERBS) <= functions


def test_history_is_printed_in_steps():
    rules, _, budget = VARIANTS["a message has no deadline"]

    assert (
        "I8 is broken after 2 steps:\n  1. a caller enqueues: admitted\n  2. the message of job 1 is lost"
    ) in str(explore(rules, budget))
