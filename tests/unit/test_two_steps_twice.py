"""A response in the background whose answer cannot be used: a second one is made, and no third."""

from __future__ import annotations

import json

import pytest

from askonce.errors import Permanent, Transient
from tests.unit.kept_responses import GOOD, PENDING, SECRET, USAGE, KeptResponses, raising, shown, status

CUT = shown("incomplete", incomplete_details={"reason": "max_output_tokens"})
UNUSABLE = {"cut": (CUT, "truncated"), "malformed": (shown(said=SECRET), "malformed_answer")}
TWICE = {name: 2 * count for name, count in USAGE.items()}


@pytest.fixture
def scene():
    return KeptResponses()


@pytest.mark.parametrize("name", UNUSABLE)
def test_second_response_is_made_at_once(scene, name):
    scene.looks = [UNUSABLE[name][0]]

    answer = scene.ask()

    assert (answer.value, answer.usage, answer.paid.calls) == (GOOD, TWICE, 2)
    limits = [created.get("max_output_tokens") for created in scene.created]
    assert limits == [None, 8192 if name == "cut" else None]


@pytest.mark.parametrize("name", UNUSABLE)
def test_second_response_that_cannot_be_used_is_the_end(scene, name):
    end, reason = UNUSABLE[name]
    scene.looks = [end, end]

    failure = scene.fail()

    assert (type(failure), failure.reason, len(scene.created)) == (Permanent, reason, 2)
    assert (failure.data["usage"], failure.data["calls"]) == (TWICE, 2)


@pytest.mark.parametrize("name", UNUSABLE)
def test_second_response_is_gone_on_with_by_the_next_attempt(scene, name):
    end, reason = UNUSABLE[name]
    scene.looks = [end, *[PENDING] * 100]
    assert scene.fail().reason == "timeout"
    scene.looks = [end]

    failure = scene.fail()

    assert (type(failure), failure.reason, len(scene.created)) == (Permanent, reason, 2)
    assert scene.story[-1] == "look resp_2"
    assert (failure.data["usage"], failure.data["paid"].usage) == (TWICE, USAGE)


def test_answer_read_after_a_killed_worker_costs_what_it_is_known_to_cost(scene):
    scene.looks = [raising(KeyboardInterrupt())]
    scene.die()

    answer = scene.ask()

    assert (scene.spent.cost_usd, len(scene.created)) == (None, 1)
    assert (answer.usage, answer.cost_usd, answer.paid.usage) == (USAGE, answer.paid.cost_usd, USAGE)


def test_second_answer_read_after_a_killed_worker_costs_both(scene):
    scene.looks = [UNUSABLE["malformed"][0], raising(KeyboardInterrupt())]
    scene.die()

    answer = scene.ask()

    assert (answer.usage, answer.paid.usage, len(scene.created)) == (TWICE, USAGE, 2)


def test_note_of_an_older_version_has_what_its_first_answer_cost(scene):
    scene.looks = [UNUSABLE["malformed"][0], raising(KeyboardInterrupt())]
    scene.die()
    noted = json.loads(scene.kept)
    assert noted.pop("calls") == 1
    scene.kept = json.dumps(noted)

    assert scene.ask().usage == TWICE


def test_response_of_an_attempt_after_a_paid_one_costs_both(scene):
    scene.looks = [*[PENDING] * 5, CUT]
    scene.fail()
    scene.looks = [raising(KeyboardInterrupt())]
    scene.die()

    answer = scene.ask()

    assert (answer.usage, answer.paid.usage, len(scene.created)) == (TWICE, USAGE, 2)


def test_response_after_an_attempt_in_doubt_has_no_known_cost(scene):
    scene.creations = [status(500)]
    scene.fail()
    scene.looks = [raising(KeyboardInterrupt())]
    scene.die()

    answer = scene.ask()

    assert (answer.usage, answer.cost_usd, answer.paid.usage) == ({}, None, USAGE)


def test_answer_to_a_new_response_adds_to_what_the_record_knows(scene):
    scene.looks = [raising(KeyboardInterrupt())]
    scene.die()
    scene.looks = [status(404)]

    answer = scene.ask()

    assert (answer.paid, len(scene.created)) == (None, 2)


def test_second_response_after_a_slow_first_one_is_the_next_attempts(scene):
    scene.looks = [*[PENDING] * 5, CUT]
    failure = scene.fail()
    assert (type(failure), failure.reason, len(scene.created)) == (Transient, "truncated", 1)

    answer = scene.ask()

    assert (answer.value, answer.usage, answer.paid.usage) == (GOOD, TWICE, USAGE)
    assert [created.get("max_output_tokens") for created in scene.created] == [None, 8192]


def test_second_response_that_cannot_be_made_is_made_by_the_next_attempt(scene):
    scene.looks = [CUT]
    scene.creations = [shown("queued"), status(500)]
    assert scene.fail().data["calls"] == 1

    answer = scene.ask()

    assert (answer.value, answer.paid.usage, len(scene.created)) == (GOOD, USAGE, 3)


def test_second_response_that_ends_unfinished_is_made_again(scene):
    scene.looks = [CUT, shown("failed"), CUT]
    assert scene.fail().reason == "unfinished"

    failure = scene.fail()

    assert (type(failure), failure.reason, len(scene.created)) == (Permanent, "truncated", 3)
