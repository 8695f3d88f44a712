"""Every command that shows a failure says what to do about it."""

import re
from dataclasses import replace
from types import SimpleNamespace

import pytest

from askonce.cli.dead import dead
from askonce.cli.explained import explain_row
from askonce.cli.letters import DeadLetters
from askonce.cli.result import why_none
from askonce.controls import Pause
from askonce.errors import Permanent, Postponed, Transient
from askonce.record import PAUSE_REST
from askonce.rows import Row
from askonce.spec import RetryPolicy
from askonce.store import Lease, Start
from producer.client import Client
from producer.run.counted import _words
from producer.run.report import Report
from tasks.reasons import CURES, cure_of
from tests.unit import starts

OPEN = "timeout@open:64"
PAID = "cost_usd=0 attempts=1"


@pytest.fixture
def client(scene):
    scene.use(scene.store, replace(scene.spec, retry=RetryPolicy(max_attempts=1)))
    return Client(specs={scene.spec.name: scene.spec}, store=scene.store, producer=scene.producer)


@pytest.fixture
def given_up(scene, client, raising):
    """Give a job up for a reason; return its key."""

    def happen(failure):
        scene.answered(body=raising(failure))
        return scene.delivery().job.key

    return happen


def replays(text, key):
    """Tell whether *text* ends with a command that exists and asks for *key* again."""
    found = re.search(rf"python -m producer dead (\w+) {key}$", text)
    return found is not None and found[1] in dead.commands


def test_result_of_a_job_given_up_says_how_to_ask_again(scene, client, given_up):
    key = given_up(Transient(OPEN))

    line = why_none(client, scene.read(), key)

    assert line.startswith(f"{key}: no answer, the job is dead: {OPEN}: {PAID}: {CURES['timeout']}")
    assert replays(line, key)


def test_result_of_a_failed_job_says_what_to_change(scene, client, given_up):
    key = given_up(Permanent("context_length_exceeded"))

    line = why_none(client, scene.read(), key)

    assert f"context_length_exceeded: {PAID}: {CURES['context_length_exceeded']} Then: " in line
    assert "LLM_MAX_INPUT_CHARS" in line
    assert line.endswith("python -m producer submit TASK FILE --retry-failed")


def test_result_of_a_job_under_way_says_no_more(scene, client):
    scene.ask()

    assert why_none(client, scene.read(), "k").endswith("the job is queued")


def submitted(scene, client):
    [report] = starts.Start(scene)([scene.question])
    return report


def test_row_of_a_job_given_up_says_how_to_ask_again(scene, client, given_up):
    key = given_up(Transient(OPEN))

    words = _words(submitted(scene, client))

    assert words.startswith(f"quarantined {OPEN}: {CURES['timeout']}")
    assert replays(words, key)


def test_row_whose_error_is_no_failed_call_has_no_cure():
    error = {"kind": "invalid", "field": "n", "reason": "given twice"}

    assert "invalid n given twice" == _words(Report(row=1, status="invalid", error=error))


def test_dead_letter_says_how_to_ask_again(client, given_up):
    key = given_up(Transient(OPEN))

    [letter] = DeadLetters(client).matching(task=None, reason=None)

    assert letter.shown()["cure"] == cure_of(OPEN, kind="quarantined", key=key)
    assert replays(letter.shown()["cure"], key)
    assert letter.cure == f"timeout: {cure_of('timeout', kind='quarantined')}"


@pytest.mark.parametrize(("reason", "count"), [("timeout", 1), (OPEN, 1), ("time", 0), ("open:64", 0)])
def test_dead_letters_are_chosen_by_the_word_of_their_reason(client, given_up, reason, count):
    given_up(Transient(OPEN))

    assert count == len(list(DeadLetters(client).matching(task=None, reason=reason)))


@pytest.fixture
def waits(scene, client):
    """Return a function that explains why the job waits, although a worker listens."""
    row, heard = Row(number=1, payload=scene.question), SimpleNamespace(ok=True, text="a worker listens")
    return lambda: explain_row(client, scene.spec.name, row, "", lambda _: heard)["waits"]


def test_job_that_is_paused_says_so_and_when_its_pause_is_over(scene, waits):
    scene.ask()
    scene.store.controls.pause(Pause("all"), "invoice")
    paused = waits()
    job = scene.delivery().job
    assert Start.PAUSED is scene.store.start(job, Lease(job.key, "owner", 30.0)).outcome
    scene.store.controls.resume(Pause("all"))

    assert paused == "paused: invoice"
    assert waits() == f"its pause is over: it starts in {PAUSE_REST:.1f} s"


def test_job_that_is_attempted_again_needs_nobody_to_ask(scene, client, raising):
    scene.use(scene.store, replace(scene.spec, retry=RetryPolicy(max_attempts=2)))
    scene.ask()
    scene.work(raising(Transient("timeout")))
    row, heard = Row(number=1, payload=scene.question), SimpleNamespace(ok=True, text="a worker listens")

    explained = explain_row(client, scene.spec.name, row, "", lambda _: heard)

    assert explained["failure"]["cure"] == CURES["timeout"]


def test_job_that_waits_for_its_provider_says_what_to_do(scene, raising, waits):
    scene.ask()
    scene.work(raising(Postponed("invalid_key", retry_after=30)))

    waits = waits()

    assert waits.startswith("for its provider, since 0 s (invalid_key)")
    assert waits.endswith(f": {CURES['invalid_key']}")
