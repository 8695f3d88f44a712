"""What the pace of a model sees of its calls."""

import httpx2
import openai
import pytest
from pydantic import BaseModel, SecretStr

from askonce.adapters.memory import MemoryStore
from askonce.errors import CallFailed, Postponed
from settings.environment import Settings
from tasks.providers.openai.model import LanguageModel
from tasks.providers.openai.pace import ModelPace


class Verdict(BaseModel):
    word: str


def test_page_in_place_of_a_reply_is_a_wrong_address_to_all_calls():
    url = "http://127.0.0.1:1/v1"
    settings = Settings(_env_file=None, openai_api_key=SecretStr("k"), openai_base_url=url)
    page = httpx2.MockTransport(lambda _: httpx2.Response(200, text="<!DOCTYPE html>"))
    client = openai.OpenAI(
        api_key="k", base_url=url, max_retries=0, http_client=httpx2.Client(transport=page)
    )
    pace = ModelPace(settings, MemoryStore().boards)
    model = LanguageModel(settings, client=client, pace=pace)

    with pytest.raises(CallFailed) as raised:
        model.ask(instructions="Judge.", text="Fine.", schema=Verdict)

    assert (Postponed, "not_an_api") == (raised.type, raised.value.reason)
    assert "configuration" == raised.value.ends_as
    assert 0 == pace.calls.open
