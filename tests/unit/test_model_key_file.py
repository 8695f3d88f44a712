"""The key of the model in a file: each call reads it anew."""

import json

import httpx2
import pytest
from pydantic import BaseModel

from askonce.errors import Configuration
from settings.environment import Settings
from tasks.providers import transport
from tasks.providers.openai.model import LanguageModel


class Verdict(BaseModel):
    word: str


@pytest.fixture
def key_file(tmp_path):
    return tmp_path / "key"


@pytest.fixture
def sent(monkeypatch):
    """The keys that the service got."""
    keys = []

    def answer(request):
        keys.append(request.headers["authorization"])
        message = {"content": json.dumps({"word": "fine"})}
        return httpx2.Response(200, json={"choices": [{"finish_reason": "stop", "message": message}]})

    client = httpx2.Client(transport=httpx2.MockTransport(answer))
    monkeypatch.setattr(transport, "new_client", lambda **_: client)
    return keys


@pytest.fixture
def model(key_file, monkeypatch, sent):
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    url = "http://127.0.0.1:1/v1"
    return LanguageModel(Settings(_env_file=None, openai_api_key_file=key_file, openai_base_url=url))


def ask(model):
    return model.ask(instructions="Judge.", text="Fine.", schema=Verdict)


def test_new_key_in_the_file_is_used_by_the_next_call(model, key_file, sent):
    key_file.write_text("sk-1\n")
    ask(model)
    key_file.write_text("sk-2\n")
    ask(model)

    assert ["Bearer sk-1", "Bearer sk-2"] == sent


@pytest.mark.parametrize("content", [None, "", " \n", "sk-é"])
def test_file_without_a_usable_key_is_reported_until_it_has_one(model, key_file, sent, content):
    if content is not None:
        key_file.write_text(content)

    with pytest.raises(Configuration) as refused:
        ask(model)
    key_file.write_text("sk-1")
    ask(model)

    assert "no_api_key" == refused.value.reason
    assert ["Bearer sk-1"] == sent
