"""What the pace of a model sees of its calls."""

import httpx2
import openai
import pytest
from pydantic import BaseModel, SecretStr

from askonce.adapters.memory import MemoryStore
from askonce.controls import Pause
from askonce.errors import WAITING_FOR_TURN, CallFailed, Postponed
from settings.environment import Settings
from tasks.providers.openai import pace
from tasks.providers.openai.model import LanguageModel
from tasks.providers.openai.pace import ModelPace
from tasks.resources import is_paused


class Verdict(BaseModel):
    word: str


def test_page_in_place_of_a_reply_is_a_wrong_address_to_all_calls():
    url = "http://127.0.0.1:1/v1"
    settings = Settings(_env_file=None, openai_api_key=SecretStr("k"), openai_base_url=url)
    page = httpx2.MockTransport(lambda _: httpx2.Response(200, text="<!DOCTYPE html>"))
    client = openai.OpenAI(
        api_key="k", base_url=url, max_retries=0, http_client=httpx2.Client(transport=page)
    )
    paced = ModelPace(settings, MemoryStore().boards)
    model = LanguageModel(settings, client=client, pace=paced)

    with pytest.raises(CallFailed) as raised:
        model.ask(instructions="Judge.", text="Fine.", schema=Verdict)

    assert (Postponed, "not_an_api") == (raised.type, raised.value.reason)
    assert "configuration" == raised.value.ends_as
    assert 0 == paced.calls.open


@pytest.mark.parametrize(("waited", "calls"), [(True, 0), (False, 1)], ids=["waited", "at once"])
def test_call_whose_job_was_paused_while_it_waited_for_its_turn_is_not_made(monkeypatch, waited, calls):
    made = []
    settings = Settings(
        _env_file=None, openai_api_key=SecretStr("k"), openai_base_url="http://127.0.0.1:1/v1"
    )
    transport = httpx2.MockTransport(lambda _: made.append(1) or httpx2.Response(500, json={}))
    client = openai.OpenAI(
        api_key="k",
        base_url=settings.openai_base_url,
        max_retries=0,
        http_client=httpx2.Client(transport=transport),
    )
    paced = ModelPace(settings, MemoryStore().boards, is_paused=lambda: True)
    monkeypatch.setattr(pace, "SOON", -1.0 if waited else 600.0)

    with pytest.raises(CallFailed) as raised:
        LanguageModel(settings, client=client, pace=paced).send("Judge.", "Fine.", Verdict)

    assert (waited, calls) == (raised.value.reason == WAITING_FOR_TURN, len(made))
    assert 0 == paced.calls.open


def test_job_under_way_knows_that_it_is_paused(scene):
    seen = []

    def look():
        seen.append(is_paused(scene.store))
        scene.store.controls.pause(Pause("tenant", "acme"), "ana")
        seen.append(is_paused(scene.store))

    scene.ask(tenant="acme")
    scene.work(look)

    assert ([False, True], False) == (seen, is_paused(scene.store))


def test_job_is_not_paused_where_the_store_does_not_say(scene):
    scene.ask()
    scene.fail_on("read")
    seen = []

    scene.work(lambda: seen.append(is_paused(scene.store)))

    assert [False] == seen
