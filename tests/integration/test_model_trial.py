"""What the doctor finds of the model's service, of a stand-in and of servers that do what it does not."""

import json
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event as Signal
from threading import Thread
from time import monotonic

import pytest
from pydantic import SecretStr

from sandbox.outside.ledger import read
from settings.environment import Settings
from tasks.providers.openai.listed import look_up
from tasks.providers.openai.trial import try_model
from tasks.reasons import CURES
from tests.deadlines import stretched

pytestmark = [pytest.mark.integration, pytest.mark.long]

MODEL = "sandbox-extractive-1"
#: Words of the doctor's two questions, by which the stand-in knows them.
FIRST, SECOND = "sky", "Begin"


@pytest.fixture(autouse=True)
def _no_environment(monkeypatch):
    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)


@pytest.fixture
def settings(stand_in):
    """Settings of a service of one's own: the stand-in, or another one."""

    def make(**fields):
        own = {"openai_base_url": stand_in.openai_base_url, "openai_model": MODEL, "llm_api": "responses"}
        return Settings(_env_file=None, **{**own, "openai_api_key": SecretStr("sk-1"), **fields})

    return make


def named(findings):
    return [(each.severity, each.name) for each in findings]


@pytest.mark.parametrize("form", ["responses", "chat"])
def test_call_that_is_answered_names_model_and_cost(stand_in, settings, form):
    [answered] = try_model(settings(llm_api=form, llm_prices={MODEL: {"input": 1.0, "output": 1.0}}))

    assert ("ok", "call") == (answered.severity, answered.name)
    assert answered.text.startswith(f"{MODEL} answered in ")
    assert answered.text.endswith(" dollars")
    assert 2 == read(stand_in.ledger).openai.calls


def test_call_without_a_price_says_that_it_is_unknown(settings):
    [answered] = try_model(settings())

    assert answered.text.endswith("for an unknown price (LLM_PRICES)")


REFUSALS = {
    "invalid_key": {"llm_key": "sk-another"},
    "no_credit": {"llm_credit": False},
    "model_not_found": {"llm_models": ["other"]},
}


@pytest.mark.parametrize("reason", REFUSALS)
def test_call_that_is_refused_names_reason_and_cure(stand_in, settings, reason):
    stand_in.set(**REFUSALS[reason])

    [failed] = try_model(settings())

    assert ("error", "call", CURES[reason]) == (failed.severity, failed.name, failed.cure)
    assert failed.text == f"{MODEL} did not answer: {reason}"


def test_service_that_is_busy_is_a_warning(stand_in, settings):
    stand_in.set(llm_failure_rate=1.0)

    [failed] = try_model(settings())

    assert "warning" == failed.severity
    assert failed.text.endswith((": rate_limited", ": overloaded"))


@pytest.mark.parametrize(("form", "cure"), [("responses", "LLM_API=chat"), ("chat", "update the service")])
@pytest.mark.parametrize("answer", ["200_prose", "200_array"])
def test_service_that_ignores_the_schema_is_refused_by_name(stand_in, settings, form, cure, answer):
    stand_in.set(script={FIRST: [answer]})

    [failed] = try_model(settings(llm_api=form))

    assert ("error", "call") == (failed.severity, failed.name)
    assert f"{MODEL} does not follow the JSON schema of a call" in failed.text
    assert cure in failed.cure


@pytest.mark.parametrize("answer", ["200_half", "200_blank_content"])
def test_service_that_reports_a_cut_answer_as_whole_is_refused(stand_in, settings, answer):
    stand_in.set(script={SECOND: [answer]})

    assert [("ok", "call"), ("error", "cut")] == named(try_model(settings()))


def test_service_that_reports_a_cut_answer_is_sound(stand_in, settings):
    stand_in.set(script={SECOND: ["200_cut_by_length_responses"]})

    assert [("ok", "call")] == named(try_model(settings()))


def test_service_that_refuses_a_limit_is_a_warning(stand_in, settings):
    stand_in.set(script={SECOND: ["503_bare"]})

    found = try_model(settings())

    assert [("ok", "call"), ("warning", "call")] == named(found)
    assert "could not be asked for a short answer" in found[1].text


def test_service_without_a_key_is_asked_without_one(settings):
    assert [("ok", "call")] == named(try_model(settings(openai_api_key=None)))


def test_call_to_openai_without_a_key_is_not_made(settings):
    mine = settings(openai_api_key=None, openai_base_url=None)

    [failed] = try_model(mine)

    assert failed.text.endswith("did not answer: no_api_key")
    assert [] == look_up(mine)


def test_call_in_the_background_is_awaited(stand_in, settings):
    assert [("ok", "call")] == named(try_model(settings(llm_background=True)))
    assert 2 == read(stand_in.ledger).openai.calls


@contextmanager
def serving(reply):
    """Serve what *reply* returns for a method, a path and a body: a status and an object."""

    class Handler(BaseHTTPRequestHandler):
        def _reply(self):
            asked = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            status, body = reply(self.command, self.path, json.loads(asked or b"null"))
            content = json.dumps(body).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        do_GET = do_POST = _reply  # noqa: N815  # the parent's names

        def log_message(self, *_):
            pass

    class Server(ThreadingHTTPServer):
        def handle_error(self, *_):
            """Say nothing of a client that did not wait for its reply."""

    with Server(("127.0.0.1", 0), Handler) as server:
        thread = Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/v1"
        server.shutdown()
        thread.join()


def answered(**more):
    text = json.dumps({"colour_of_the_sky": "blue", "numbers": []})
    message = {"type": "message", "content": [{"type": "output_text", "text": text}]}
    return {"id": "resp_1", "object": "response", "status": "completed", "output": [message], **more}


def test_server_that_ignores_the_background_is_refused_by_name(settings):
    with serving(lambda *_: (200, answered())) as url:
        [failed] = try_model(settings(openai_base_url=url, llm_background=True))

    assert ("error", CURES["background_unsupported"]) == (failed.severity, failed.cure)
    assert failed.text.endswith("background_unsupported")


def test_server_that_answers_the_background_at_once_is_sound(settings):
    with serving(lambda *_: (200, answered(background=True))) as url:
        assert ("ok", "call") == named(try_model(settings(openai_base_url=url, llm_background=True)))[0]


def test_server_that_forgets_its_responses_is_refused_by_name(settings):
    def reply(method, _path, _body):
        return (404, {"error": {}}) if method == "GET" else (200, answered(status="queued", output=[]))

    with serving(reply) as url:
        [failed] = try_model(settings(openai_base_url=url, llm_background=True, llm_timeout=1.0))

    assert failed.text.endswith("background_unsupported")


def test_model_that_is_not_in_the_list_is_a_warning_and_costs_nothing(stand_in, settings):
    assert [] == look_up(settings())
    assert [("warning", "listed")] == named(look_up(settings(openai_model="gpt-6-lune")))
    assert 0 == read(stand_in.ledger).openai.calls


@pytest.mark.parametrize(
    "changes", [{"llm_lists_models": False}, {"llm_key": "sk-x"}, {"llm_down": "close"}], ids=str
)
def test_service_without_a_list_is_no_finding(stand_in, settings, changes):
    stand_in.set(**changes)

    assert [] == look_up(settings(openai_model="gpt-6-lune"))


def test_model_that_ends_soon_is_a_warning(settings):
    day = (datetime.fromtimestamp(0, UTC) + timedelta(days=1)).date().isoformat()
    with serving(lambda *_: (200, {"data": [{"id": MODEL, "shutdown_date": day}]})) as url:
        assert [("warning", "ends")] == named(look_up(settings(openai_base_url=url)))


def test_list_that_does_not_come_is_not_waited_for(settings):
    ended = Signal()
    try:
        with serving(lambda *_: (ended.wait(stretched(30)), (200, {"data": []}))[1]) as url:
            began = monotonic()
            assert [] == look_up(settings(openai_base_url=url))
            assert monotonic() - began < stretched(15)
            ended.set()
    finally:
        ended.set()


def test_nothing_that_the_service_says_is_shown(stand_in, settings):
    secret = "geheim-4711"
    body = {"data": [{"id": f"{secret}", "owned_by": secret}], "error": {"message": secret, "code": secret}}

    with serving(lambda *_: (200, body)) as url:
        mine = settings(openai_base_url=url)
        found = [*look_up(mine), *try_model(mine)]

    assert 2 == len(found)
    assert secret not in "".join(map(str, found))
