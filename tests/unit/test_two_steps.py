from contextlib import suppress

import httpx2
import pytest

from askonce.errors import CallFailed, Configuration, Permanent, Postponed, Transient
from tests.unit.kept_responses import (
    GOOD,
    PENDING,
    SECRET,
    TIMEOUT,
    USAGE,
    KeptResponses,
    body,
    raising,
    shown,
    status,
)


@pytest.fixture
def scene():
    return KeptResponses()


def test_id_is_kept_before_anybody_waits(scene):
    scene.looks = [PENDING]

    answer = scene.ask()

    assert scene.story == ["create", "checkpoint", "wait", "look resp_1", "wait", "look resp_1"]
    assert (scene.created[0]["background"], scene.created[0]["store"]) == (True, True)
    assert (answer.value, answer.usage) == (GOOD, USAGE)
    assert answer.cost_usd > 0


def test_reference_holds_nothing_of_the_question(scene):
    scene.ask()

    assert "resp_1" in scene.kept
    assert "tulip" not in scene.kept
    assert "judge" not in scene.kept


def test_next_attempt_reads_instead_of_calling_again(scene):
    scene.looks = [raising(KeyboardInterrupt())]
    with pytest.raises(KeyboardInterrupt):
        scene.ask()
    scene.story.clear()

    answer = scene.ask()

    assert scene.story == ["look resp_1"]
    assert (answer.value, answer.usage) == (GOOD, USAGE)


@pytest.mark.parametrize(
    "left", ["", '{"a1b2":["resp_9",0]}', "a/b", "../x", "r" * 1025, "resp 9", "resp_9\n", "é"]
)
def test_reference_that_is_no_id_names_no_response(scene, left):
    scene.kept = left

    with suppress(CallFailed):
        scene.ask()

    assert (scene.story[0], scene.kept) == ("create", "resp_1")


TROUBLE = {
    "500": status(500),
    "429": status(429),
    "408": status(408),
    "timeout": raising(httpx2.ReadTimeout("x")),
    "connection": raising(httpx2.ConnectError("x")),
    "a page": lambda _: httpx2.Response(200, text="<html>"),
    "another body": lambda _: httpx2.Response(200, json={}),
    # A service that has accepted a response may need a moment until it finds it.
    "404": status(404),
}


@pytest.mark.parametrize("name", TROUBLE)
def test_trouble_while_looking_is_not_the_end_of_the_response(scene, name):
    scene.looks = [TROUBLE[name], PENDING, TROUBLE[name]]

    assert scene.ask().value == GOOD
    assert len(scene.created) == 1


def test_pauses_grow_to_five_seconds_and_end_at_the_timeout(scene):
    scene.looks = [PENDING] * 100

    failure = scene.fail()

    assert scene.waits[:4] == [0.5, 0.5, 0.75, 1.125]
    assert max(scene.waits) == 5.0
    assert sum(scene.waits) == scene.now == TIMEOUT
    assert (failure.reason, failure.maybe_billed) == ("timeout", True)
    assert scene.story[-1] == "look resp_1"


def test_retry_after_of_the_service_is_obeyed(scene):
    scene.looks = [status(429, **{"Retry-After": "12"})]

    scene.ask()

    assert scene.waits == [0.5, 12.0]


def test_retry_after_beyond_the_timeout_ends_the_attempt(scene):
    scene.looks = [status(503, **{"Retry-After": "60"})]

    failure = scene.fail()

    assert (failure.reason, failure.retry_after, scene.waits) == ("timeout", 60.0, [0.5])
    assert scene.ask().value == GOOD
    assert len(scene.created) == 1


def test_slow_response_is_left_to_the_next_attempt(scene):
    scene.looks = [PENDING] * 100
    scene.fail()
    scene.looks.clear()

    assert scene.ask().value == GOOD
    assert len(scene.created) == 1


ENDS = {
    "failed": (shown("failed"), "unfinished"),
    "cancelled": (shown("cancelled"), "unfinished"),
    "filtered": (shown("incomplete", incomplete_details={"reason": "content_filter"}), "refused"),
}


@pytest.mark.parametrize("name", ENDS)
def test_response_without_an_answer_is_booked_and_dropped(scene, name):
    end, reason = ENDS[name]
    scene.looks = [end]

    failure = scene.fail()

    assert (failure.reason, failure.data["usage"]) == (reason, USAGE)
    assert scene.kept == ""
    scene.ask()
    assert len(scene.created) == 2


@pytest.mark.parametrize("number", [404, 400])
def test_missing_response_is_created_again_at_once(scene, number):
    scene.looks = [PENDING] * 100
    scene.fail()
    scene.looks = [status(number)]

    answer = scene.ask()

    assert (answer.value, answer.usage, len(scene.created)) == (GOOD, USAGE, 2)
    assert "resp_2" in scene.kept
    assert "resp_1" not in scene.kept


def test_missing_response_may_have_been_billed(scene):
    scene.looks = [PENDING] * 100
    scene.fail()
    scene.looks, scene.creations = [status(404)], [status(503)]

    failure = scene.fail()

    assert (failure.reason, failure.maybe_billed) == ("unavailable", True)
    assert scene.kept == ""


def test_wrong_key_while_looking_keeps_the_response(scene):
    scene.looks = [status(401)]

    assert isinstance(scene.fail(), Configuration)
    assert "resp_1" in scene.kept


@pytest.mark.parametrize("number", [429, 404])
def test_missing_response_uses_an_attempt_whatever_follows(scene, number):
    scene.looks = [PENDING] * 100
    scene.fail()
    scene.looks, scene.creations = [status(404)], [status(number)]

    assert not isinstance(scene.fail(), Postponed)


@pytest.mark.parametrize(
    ("number", "kind", "reason"),
    [
        (503, Transient, "unavailable"),
        (429, Postponed, "rate_limited"),
        (400, Permanent, "invalid_request"),
        (401, Configuration, "invalid_key"),
    ],
)
def test_refusal_to_create_is_as_in_one_step_and_keeps_nothing(scene, number, kind, reason):
    scene.creations = [status(number)]

    failure = scene.fail()

    assert (type(failure), failure.reason) == (kind, reason)
    assert scene.story == ["create"]


def test_service_that_answers_at_once_is_not_looked_at(scene):
    scene.creations = [shown()]

    assert scene.ask().value == GOOD
    assert scene.story == ["create", "checkpoint"]


@pytest.mark.parametrize("name", [None, "", "r" * 1025, 7, "..", "a/b"])
def test_response_without_a_usable_id_is_not_waited_for(scene, name):
    scene.creations = [lambda _: httpx2.Response(200, json=body(name, "queued"))]

    failure = scene.fail()

    assert (failure.reason, failure.maybe_billed) == ("unfinished", True)
    assert scene.story == ["create"]


def test_failure_carries_no_text_and_no_chain(scene):
    scene.looks = [raising(httpx2.ReadError(SECRET)), *[PENDING] * 100]

    failure = scene.fail()

    assert "tulip" not in repr(failure.data)
    assert failure.__cause__ is failure.__context__ is None
