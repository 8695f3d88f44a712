"""Refusals that come late: in a reply of success, or when a response in the background has its turn."""

from functools import partial

import httpx2
import openai
import pytest
from pydantic import BaseModel, SecretStr

from askonce.adapters.memory import MemoryStore
from askonce.errors import CallFailed, Configuration, Permanent, Postponed, Transient
from askonce.spend import NOTHING
from settings.environment import Settings
from tasks.providers.openai.failures import failure_in, refusal_in
from tasks.providers.openai.model import LanguageModel, _key_in
from tasks.providers.openai.pace import ModelPace
from tests.unit.kept_responses import (
    GOOD,
    PENDING,
    SECRET,
    SETTINGS,
    USAGE,
    KeptResponses,
    body,
    raising,
    shown,
    status,
)
from tests.unit.refusal_bodies import body_of

#: As a service says it of a response -> reason and kind of failure.
REFUSED = {
    "rate_limit_exceeded": ("rate_limited", "transient"),
    "insufficient_quota": ("no_credit", "configuration"),
}


class Verdict(BaseModel):
    word: str


def refused(code, *, paid=None):
    """Reply with a response that was refused when its turn came; nothing was *paid* for most of them."""
    made = {"error": {"code": code, "message": SECRET}, "usage": paid}
    return lambda response: httpx2.Response(200, json=body(response, "failed", **made))


@pytest.fixture
def scene():
    return KeptResponses(pace=ModelPace(SETTINGS, MemoryStore().boards))


def refusing_service(code):
    """Return a service that refuses each call in a reply of success, and the bodies that it got."""
    got = []

    def answer(request):
        got.append(request.content)
        return httpx2.Response(200, json={"error": {"code": code, "message": SECRET}})

    return httpx2.Client(transport=httpx2.MockTransport(answer)), got


@pytest.mark.parametrize(
    ("code", "reason"), [(402, "no_credit"), (401, "invalid_key"), (429, "rate_limited")]
)
def test_refusal_in_a_reply_of_success_stops_the_calls_of_all_jobs(code, reason):
    url = "http://127.0.0.1:1/v1"
    settings = Settings(_env_file=None, openai_api_key=SecretStr("k"), openai_base_url=url)
    http, got = refusing_service(code)
    client = openai.OpenAI(api_key="k", base_url=url, max_retries=0, http_client=http)
    model = LanguageModel(settings, client=client, pace=ModelPace(settings, MemoryStore().boards))

    ends = [end_of(model) for _ in range(40)]

    assert {(Postponed, reason)} == set(ends)
    assert len(got) <= 4


def test_endpoint_that_is_not_there_may_be_told_in_a_reply_of_success():
    body = b'{"error": "Unexpected endpoint or method. (POST /chat/completions)"}'

    failure = refusal_in(body)

    assert isinstance(failure, Configuration)
    assert "not_an_api" == failure.reason


def test_response_that_is_gone_is_no_missing_model():
    body = b'{"error": {"message": "Response not found. Received Model Group=luna", "code": "404"}}'

    failure = failure_in(404, {}, body, is_reading=True)

    assert (Permanent, "not_found") == (type(failure), failure.reason)


def end_of(model):
    with pytest.raises(CallFailed) as caught:
        model.ask(instructions="judge", text=SECRET, schema=Verdict)
    return caught.type, caught.value.reason


ERRORS = [
    ({"code": 429}, Postponed, "rate_limited"),
    ({"code": "429"}, Postponed, "rate_limited"),
    ({"code": "rate_limit_exceeded"}, Postponed, "rate_limited"),
    ({"type": "rate_limit_error"}, Postponed, "rate_limited"),
    ({"code": 402}, Configuration, "no_credit"),
    ({"code": "insufficient_quota"}, Configuration, "no_credit"),
    ({"code": 401}, Configuration, "invalid_key"),
    ({"code": 403}, Configuration, "no_permission"),
    ({"code": 400}, Permanent, "invalid_request"),
    ({"code": 400, "message": "maximum context length is 8192"}, Permanent, "context_length_exceeded"),
]


@pytest.mark.parametrize(("error", "kind", "reason"), ERRORS, ids=lambda each: repr(each)[:40])
def test_error_without_an_answer_is_judged_by_its_code(error, kind, reason):
    found = refusal_in(body_of({"error": {"message": SECRET, **error}}))

    assert (kind, reason) == (type(found), found.reason)
    assert "tulip" not in repr(found.data)


COUNTED = {"prompt_tokens": 210, "completion_tokens": 8}
CHOICE = {"message": {"content": "{}"}, "finish_reason": "stop"}


@pytest.mark.parametrize(
    "said",
    [
        {"error": {"code": 429}, "usage": COUNTED},
        {"error": {"code": 429}, "choices": [CHOICE]},
        {"error": {"code": 429}, "output": [{"type": "message", "content": []}]},
        *(
            {"error": {"code": code}}
            for code in (502, 503, 500, 408, 404, 301, 200, "server_error", "", None)
        ),
        {"error": "429"},
        {"error": None},
        {"choices": [{**CHOICE, "error": {"code": 429}}]},
        {"detail": {"code": 429}},
        [],
    ],
    ids=lambda said: repr(said)[:60],
)
def test_error_that_may_be_paid_or_says_nothing_is_no_refusal(said):
    assert refusal_in(body_of(said)) is None


@pytest.mark.parametrize("code", REFUSED)
def test_response_that_is_refused_later_parks_its_job_and_is_dropped(scene, code):
    scene.looks = [PENDING, refused(code)]

    failure = scene.fail()

    assert (Postponed, *REFUSED[code]) == (type(failure), failure.reason, failure.ends_as)
    assert "" == scene.kept
    # Nothing is counted, so the job costs nothing.
    assert NOTHING == scene.spent
    assert {"reason", "retry_after", "ends_as"} >= failure.data.keys()


@pytest.mark.parametrize("code", REFUSED)
def test_job_asks_for_a_new_response_after_a_refused_one(scene, code):
    scene.looks = [refused(code)]
    scene.fail()

    scene.pace = None
    answer = scene.ask()

    assert (answer.value, answer.usage, len(scene.created)) == (GOOD, USAGE, 2)


@pytest.mark.parametrize("code", REFUSED)
def test_response_that_is_refused_in_a_later_attempt_parks_its_job_too(scene, code):
    scene.looks = [raising(KeyboardInterrupt())]
    scene.die()
    scene.looks = [refused(code)]

    failure = scene.fail()

    assert (Postponed, *REFUSED[code]) == (type(failure), failure.reason, failure.ends_as)
    assert ("", 1) == (scene.kept, len(scene.created))


def test_response_that_is_refused_without_a_pace_is_judged_alike(scene):
    scene.pace, scene.looks = None, [refused("insufficient_quota")]

    failure = scene.fail()

    assert (Configuration, "no_credit", "") == (type(failure), failure.reason, scene.kept)


@pytest.mark.parametrize("code", ["rate_limit_exceeded", "server_error"])
def test_response_that_failed_after_it_was_paid_is_an_attempt(scene, code):
    scene.looks = [refused(code, paid=USAGE)]

    failure = scene.fail()

    assert (Transient, "unfinished", "") == (type(failure), failure.reason, scene.kept)
    assert USAGE == scene.spent.usage


def test_response_that_is_refused_when_it_is_created_is_not_noted(scene):
    scene.creations = [refused("rate_limit_exceeded")]

    failure = scene.fail()

    assert (Postponed, "rate_limited") == (type(failure), failure.reason)
    assert ["create"] == scene.story


def test_second_response_that_is_refused_uses_an_attempt_but_no_call(scene):
    scene.looks = [shown(said=SECRET), refused("rate_limit_exceeded")]

    failure = scene.fail()

    assert (Transient, "rate_limited") == (type(failure), failure.reason)
    assert (1, USAGE) == (failure.data["calls"], failure.data["usage"])


@pytest.mark.parametrize(
    ("trouble", "reason"),
    [
        (status(401), "invalid_key"),
        (status(403), "no_permission"),
        (status(307, Location="http://127.0.0.1:1/"), "redirected"),
    ],
    ids=["401", "403", "307"],
)
def test_job_waits_for_the_cure_and_goes_on_with_its_response(scene, trouble, reason):
    scene.looks = [trouble]

    failure = scene.fail()

    assert (Postponed, reason, "configuration") == (type(failure), failure.reason, failure.ends_as)
    assert "resp_1" in scene.kept
    # The cure: the pace of a worker with the new key begins anew.
    scene.pace = ModelPace(SETTINGS, MemoryStore().boards)
    assert GOOD == scene.ask().value
    assert 1 == len(scene.created)


def test_job_whose_key_file_is_missing_goes_on_with_its_response(scene, tmp_path):
    file = tmp_path / "key"
    file.write_text("k")
    scene.key = partial(_key_in, Settings(_env_file=None, openai_api_key_file=file))
    scene.looks = [raising(KeyboardInterrupt())]
    scene.die()
    file.unlink()

    failure = scene.fail()

    assert (Postponed, "no_api_key", "configuration") == (type(failure), failure.reason, failure.ends_as)
    file.write_text("k")
    scene.pace = ModelPace(SETTINGS, MemoryStore().boards)
    assert (GOOD, 1) == (scene.ask().value, len(scene.created))


@pytest.mark.parametrize("looks", [1, 3])
def test_page_of_404_in_place_of_a_response_is_looked_at_again(scene, looks):
    scene.looks = [raising(KeyboardInterrupt())]
    scene.die()
    scene.looks = [page] * looks

    assert GOOD == scene.ask().value
    assert 1 == len(scene.created)


def page(_response):
    return httpx2.Response(404, text="<html><h1>404 Not Found</h1></html>")
