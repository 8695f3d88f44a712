"""A service that makes responses in the background, and the record of one job that asks it."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from itertools import count

import httpx2
import openai
import pytest
from pydantic import BaseModel, ConfigDict, SecretStr

from askonce.attempt import Attempt, costs_of
from askonce.errors import CallFailed
from askonce.spend import NOTHING, Spend
from settings.environment import Settings
from tasks.providers.openai.model import LanguageModel
from tasks.providers.openai.pace import ModelPace
from tasks.providers.openai.two_steps import TwoSteps

SECRET = "Ann: the password is tulip"
TIMEOUT = 45.0
SETTINGS = Settings(
    _env_file=None, openai_api_key=SecretStr("k"), openai_model="gpt-6-luna", llm_timeout=TIMEOUT
)


class Verdict(BaseModel):
    model_config = ConfigDict(extra="forbid")

    word: str


GOOD = {"word": "fine"}
USAGE = {"input_tokens": 12000, "output_tokens": 900}
#: A service's own words for it.
COUNTS = {"usage": USAGE, "model": "gpt-6-luna"}


def body(response, status="completed", said=GOOD, **more):
    content = [{"type": "output_text", "text": said if isinstance(said, str) else json.dumps(said)}]
    output = [{"type": "message", "content": content}] if status == "completed" else []
    return {"id": response, "status": status, "output": output, **COUNTS, **more}


def status(number, **headers):
    return lambda _response: httpx2.Response(number, headers=headers, json={})


def shown(state="completed", **more):
    return lambda response: httpx2.Response(200, json=body(response, state, **more))


def raising(error):
    def reply(_response):
        raise error

    return reply


PENDING = shown("in_progress")


@dataclass
class KeptResponses:
    """A service that keeps responses, the record of one job, and a clock that waiting moves."""

    created: list = field(default_factory=list)
    #: What the next replies are; then responses are queued at once, and done at the first look.
    creations: list = field(default_factory=list)
    looks: list = field(default_factory=list)
    #: What happened, in order.
    story: list = field(default_factory=list)
    waits: list = field(default_factory=list)
    kept: str = ""
    #: What the attempts so far cost, as the record knows it.
    spent: Spend = NOTHING
    now: float = 0.0
    #: The pace that the calls keep; without one they begin at once.
    pace: ModelPace | None = None
    #: The key, or a function that returns it for each call.
    key: object = "k"
    numbers: count = field(default_factory=lambda: count(1))

    def __call__(self, request):
        if request.method == "POST":
            self.story.append("create")
            self.created.append(json.loads(request.content))
            reply = self.creations.pop(0) if self.creations else shown("queued")
            return reply(f"resp_{next(self.numbers)}")
        response = request.url.path.rpartition("/")[2]
        self.story.append(f"look {response}")
        return (self.looks.pop(0) if self.looks else shown())(response)

    def checkpoint(self, reference):
        self.story.append("checkpoint")
        self.kept = reference

    def wait(self, seconds):
        self.story.append("wait")
        self.waits.append(seconds)
        self.now += seconds

    def attempt(self):
        """Begin an attempt with what the one before has left."""
        client = openai.OpenAI(
            api_key=self.key,
            base_url="https://api.openai.com/v1",
            max_retries=0,
            http_client=httpx2.Client(transport=httpx2.MockTransport(self)),
        )
        model = LanguageModel(SETTINGS, client=client, pace=self.pace)
        return TwoSteps(model, self.record(), wait=self.wait, clock=lambda: self.now)

    def record(self):
        """Return the attempt as its record shows it."""
        fields = {"key": "k", "job": "j", "number": 1, "fence": 1, "stale": None}
        return Attempt(**fields, reference=self.kept, checkpoint=self.checkpoint, spent=self.spent)

    def ask(self, text=SECRET):
        return ask(self.attempt(), text)

    def fail(self, text=SECRET):
        with pytest.raises(CallFailed) as caught:
            self.ask(text)
        self.spent = costs_of(caught.value, self.record()).made
        return caught.value

    def die(self):
        """End an attempt as a killed worker does: nobody knows what it cost."""
        with pytest.raises(KeyboardInterrupt):
            self.ask()
        self.spent = Spend()


def ask(asking, text=SECRET):
    return asking(instructions="judge", text=text, schema=Verdict)
