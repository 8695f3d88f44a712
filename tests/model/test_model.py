import inspect

import pytest

from askonce.adapters.redis.scripts import VERBS
from tests.model import verbs
from tests.model.explore import explore
from tests.model.variants import BUILT, VARIANTS
from tests.model.world import Budget

#: Kinds of bad luck, each of which may strike in every order and at every moment.
MIXES = {
    "delivery": Budget(callers=3, ages=2, losses=1, copies=2, delays=1),
    "workers": Budget(callers=2, crashes=1, stalls=1, copies=1, losses=1),
    "workers that stall": Budget(callers=2, crashes=1, stalls=2, losses=1),
    "workers while the answer ages": Budget(callers=2, ages=1, crashes=1, stalls=1, copies=2),
    "calls": Budget(callers=2, ages=1, failures=2, stalls=1, copies=1),
    "lost record": Budget(callers=2, record_losses=1, copies=1, stalls=1),
    "two lost records": Budget(callers=1, record_losses=2, copies=1, crashes=1),
    "dead claims": Budget(callers=1, copies=1, stalls=1, delays=1, record_losses=1),
    "a bit of everything": Budget(crashes=1, stalls=1, failures=1, record_losses=1),
    "senders": Budget(callers=1, losses=1, delays=2, crashes=2, stalls=1),
    "operator": Budget(callers=2, invalidations=1, stalls=1, parks=1),
    "cancelled jobs": Budget(callers=2, cancels=1, copies=1, stalls=1, parks=1),
    "cancelled calls": Budget(callers=1, cancels=1, failures=1, crashes=1, parks=1),
    "cancelled calls of workers that stall": Budget(cancels=2, copies=1, stalls=1, failures=1),
    "pauses": Budget(callers=2, pauses=1, crashes=1, losses=1, parks=1),
    "pauses while a worker stalls": Budget(pauses=2, stalls=1, parks=1, failures=1),
    "late copies": Budget(callers=2, ages=1, expiries=2, copies=2, failures=1),
    "same job again": Budget(repeats=2, ages=1, copies=1, stalls=1, losses=1),
    "countdowns": Budget(callers=1, countdowns=1, losses=1, delays=1, crashes=1, pauses=1),
}


#: These have the most states.
LARGE = {
    "a bit of everything",
    "dead claims",
    "cancelled jobs",
    "countdowns",
    "delivery",
    "late copies",
    "operator",
    "pauses while a worker stalls",
    "same job again",
    "senders",
    "two lost records",
    "workers that stall",
    "workers while the answer ages",
}


@pytest.mark.parametrize(
    "mix", [pytest.param(mix, marks=[pytest.mark.long] * (mix in LARGE)) for mix in MIXES]
)
def test_rules_hold_whatever_goes_wrong(mix):
    explored = explore(BUILT, MIXES[mix])

    assert explored.states > 1000
    assert set() == explored.broken.keys(), str(explored)


def test_paused_job_is_answered_once_the_pause_ends():
    explored = explore(BUILT, MIXES["pauses"])

    assert {"a worker starts job 1: paused", "the pause ends", "the waiter is answered"} <= explored.steps
    assert "I8" not in explored.broken


@pytest.mark.long
def test_bad_luck_is_more_than_a_name():
    steps = explore(BUILT, MIXES["dead claims"]).steps | explore(BUILT, MIXES["pauses"]).steps

    assert {
        "a caller enqueues: resend",
        "another process may send the message",
        "the reaper gets job 1",
        "the message of job 1 is sent again",
        "the message of job 1 is counted",
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


def test_lost_record_and_stalled_worker_explain_two_calls():
    # A limit: the worker finds the record gone, and admits its old job when the next is done and stale.
    explored = explore(BUILT, Budget(ages=1, record_losses=1, copies=1), until="I5")

    history = explored.broken["I5"]
    assert history.index("a worker starts job 1: absent") < history.index("the answer grows stale")


def test_model_has_every_verb():
    functions = {name for name, _ in inspect.getmembers(verbs, inspect.isfunction)}

    # To cancel a run is to cancel each of its records; a hit changes none; what is put never had a job.
    assert set(VERBS) - {"cancel_run", "hit", "put"} <= functions


def test_history_is_printed_in_steps():
    rules, _, budget = VARIANTS["a message has no deadline"]

    assert (
        "I8 is broken after 2 steps:\n  1. a caller enqueues: admitted\n  2. the message of job 1 is lost"
    ) in str(explore(rules, budget))
