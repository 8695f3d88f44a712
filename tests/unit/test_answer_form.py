from __future__ import annotations

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from pydantic import BaseModel, ConfigDict, SecretStr

from askonce.errors import CallFailed, Configuration, Permanent
from settings.environment import Settings
from tasks.providers.openai.form import AnswerForm
from tasks.providers.openai.model import LanguageModel

GOOD = '{"word": "fine"}'
CHAT = {"choices": [{"finish_reason": "stop", "message": {"content": GOOD}}]}
RESPONSES = {"output": [{"type": "message", "content": [{"type": "output_text", "text": GOOD}]}]}
NO_SCHEMA = {
    "error": {"message": "Input should be 'text' or 'json_object'", "type": "internal_server_error"},
}
NO_JSON = {"error": {"message": "response_format is not supported", "type": "invalid_request_error"}}


class Verdict(BaseModel):
    model_config = ConfigDict(extra="forbid")

    word: str


class Handler(BaseHTTPRequestHandler):
    def do_POST(self):
        asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.asked.append(asked)
        status, body = self.server.answer(asked)
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_args):
        pass


def form_of(asked):
    return (asked.get("response_format") or asked["text"]["format"])["type"]


def refuses_schemas(asked):
    if form_of(asked) == "json_schema":
        return 500, NO_SCHEMA
    return 200, CHAT if "messages" in asked else RESPONSES


@pytest.fixture
def service():
    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.asked, server.answer = [], refuses_schemas
        threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True).start()
        yield server
        server.shutdown()


def model_of(service, api="chat", remembered=None):
    chosen = Settings(
        _env_file=None,
        openai_api_key=SecretStr("k"),
        openai_base_url=f"http://127.0.0.1:{service.server_port}/v1",
        llm_api=api,
    )
    return LanguageModel(chosen, form=AnswerForm(remembered))


def ask(model):
    return model.ask(instructions="judge", text="words", schema=Verdict)


class Memory:
    def __init__(self, form=None):
        self.form, self.kept = form, []

    def get(self):
        return self.form

    def set(self, form):
        self.kept.append(form)


#: As a router refuses that has sent its status before it asks a service.
LATE = 200, {"error": {**NO_SCHEMA["error"], "code": 400}}


@pytest.mark.parametrize("refusal", [(500, NO_SCHEMA), LATE], ids=["by_status", "late"])
@pytest.mark.parametrize("api", ["chat", "responses"])
def test_form_falls_back_once_for_all_calls_of_a_client(service, api, refusal):
    model = model_of(service, api)
    service.answer = lambda asked: refusal if form_of(asked) == "json_schema" else refuses_schemas(asked)

    values = [ask(model).value for _ in range(3)]

    assert [{"word": "fine"}] * 3 == values
    assert ["json_schema", "json_object", "json_object", "json_object"] == [*map(form_of, service.asked)]


def test_form_of_any_object_has_the_schema_in_the_instructions(service):
    ask(model_of(service))

    system, user = service.asked[1]["messages"]
    assert ("system", "user", "words") == (system["role"], user["role"], user["content"])
    assert system["content"].startswith("judge\n\n")
    assert json.dumps(Verdict.model_json_schema()) in system["content"]


def test_form_of_any_object_is_named_in_the_input_of_responses(service):
    ask(model_of(service, "responses"))

    note, text = service.asked[1]["input"]
    assert "JSON" in note["content"]
    assert {"role": "user", "content": "words"} == text
    assert "judge" == service.asked[1]["instructions"]


def test_form_that_is_refused_too_is_for_the_operator(service):
    service.answer = lambda asked: (400, NO_SCHEMA if form_of(asked) == "json_schema" else NO_JSON)

    for _ in range(2):
        with pytest.raises(Configuration, match="response_format_unsupported") as caught:
            ask(model_of(service))
        assert caught.value.__context__ is None
    assert ["json_schema", "json_object"] * 2 == [*map(form_of, service.asked)]


def test_form_stays_after_a_refusal_for_another_reason(service):
    service.answer = lambda _asked: (400, {"error": {"message": "maximum context length", "code": "x"}})
    model = model_of(service)

    for _ in range(2):
        with pytest.raises(Permanent, match="context_length_exceeded"):
            ask(model)

    assert ["json_schema"] * 2 == [*map(form_of, service.asked)]


def test_form_is_kept_only_after_an_answer_in_it(service):
    memory = Memory()
    model = model_of(service, remembered=memory)
    service.answer = lambda asked: (500, NO_SCHEMA) if form_of(asked) == "json_schema" else (503, {})
    with pytest.raises(CallFailed):
        ask(model)
    before = list(memory.kept)
    service.answer = refuses_schemas

    ask(model)

    assert ([], ["json_object"]) == (before, memory.kept)


def test_form_that_another_process_found_is_used_at_once(service):
    ask(model_of(service, remembered=Memory("json_object")))

    assert ["json_object"] == [*map(form_of, service.asked)]


@pytest.mark.parametrize("kept", [None, "json_schema", "yaml"])
def test_unknown_form_in_the_memory_is_the_strict_one(service, kept):
    ask(model_of(service, remembered=Memory(kept)))

    assert "json_schema" == form_of(service.asked[0])
