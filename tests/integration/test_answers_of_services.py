"""Every answer of the file comes to the model's client through a socket: what it means, and its calls."""

from pathlib import Path

import pytest
from pydantic import SecretStr

from askonce.answer import Answer
from askonce.errors import CallFailed, Configuration, Permanent, Postponed, Transient
from sandbox.outside.answers import read as read_answers
from sandbox.outside.ledger import read
from settings.environment import Settings
from tasks.meetings.prompts import PROMPTS
from tasks.providers.openai.model import LanguageModel

pytestmark = [pytest.mark.integration, pytest.mark.long]

ANSWERS = read_answers(Path(__file__).parents[1] / "answers.jsonl")
#: What the file expects -> the class of the failure.
KINDS = {
    "park": Postponed,
    "attempt": Transient,
    "configuration": Configuration,
    "permanent": Permanent,
    "once_more": Permanent,
}
PLAYED = [
    pytest.param(answer, form, id=f"{answer.name}-{form}")
    for answer in ANSWERS.values()
    for form in ("chat", "responses")
    if answer.form in (form, "both")
]


@pytest.fixture(scope="module")
def service(tmp_path_factory, stand_in_started):
    with stand_in_started(tmp_path_factory.mktemp("ledger")) as running:
        yield running


@pytest.fixture
def ask(service, monkeypatch):
    """Ask the stand-in as a worker does, without a job; return the answer or the failure."""
    for name in Settings.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)

    def once(form, operation, timeout):
        own = {"openai_base_url": service.openai_base_url, "llm_api": form, "llm_timeout": timeout}
        model = LanguageModel(Settings(_env_file=None, openai_api_key=SecretStr("sk-1"), **own))
        prompt = PROMPTS[operation]
        try:
            return model.ask(
                instructions=prompt.instructions, text="Ana: We ship on Friday. ROW-1", schema=prompt.schema
            )
        except CallFailed as failure:
            return failure
        finally:
            model.close()

    return once


@pytest.mark.parametrize(("answer", "form"), PLAYED)
def test_answer_means_what_the_file_says_and_is_called_as_often(service, ask, answer, form):
    service.set(script={"ROW-1": [answer.name, "*"]})
    before = read(service.ledger).openai.calls

    got = ask(form, answer.task.rpartition(".")[2] or "extract", 1.0 if answer.reason == "timeout" else 60.0)

    calls = read(service.ledger).openai.calls - before
    if answer.expect == "answer":
        assert (Answer, 1) == (type(got), calls), got
        return
    assert (KINDS[answer.expect], answer.reason) == (type(got), got.reason.partition("@")[0])
    assert calls == (2 if is_asked_again(answer) else 1)
    if answer.retry_after is not None:
        assert got.data["retry_after"] == pytest.approx(answer.retry_after, abs=2)


def is_asked_again(answer):
    """Tell whether a second call is made at once: for another answer, or in another form."""
    return answer.expect == "once_more" or answer.reason == "response_format_unsupported"
