"""``cache get`` and ``result``: an answer as JSON, or the state of a job that has none."""

import json

import pytest

from askonce.answer import Answer
from askonce.cancel import cancel_keys
from askonce.controls import Pause
from askonce.errors import Permanent
from tests.unit.cli.jobs.steps import give_up, park, run


def parsed(text):
    try:
        return json.loads(text)
    except ValueError:
        return pytest.fail(f"no JSON: {text!r}")


@pytest.mark.parametrize(
    "value",
    [None, ["a b", "c"], [], {}, {"a": None}, "", "5", "a\nb", "\x1b[2J", 5, 0.5, False, "é"],
    ids=repr,
)
def test_value_is_shown_as_json_whatever_it_is(scene, verb, value):
    key = scene.answered(body=lambda: value).key

    lines = verb("cache", "get", key, "--value").stdout.splitlines()

    [shown] = [line.removeprefix("value").lstrip() for line in lines if line.startswith("value")]
    assert (value, True) == (parsed(shown), shown.isprintable())


def fell_back(scene, _):
    return scene.answered(body=lambda: Answer({"rate": 1}, source="default", reason="limited")).key


def parked(scene, _):
    scene.ask()
    return park(scene)


def paused(scene, _):
    scene.store.controls.pause(Pause("all"), "ana")
    return scene.ask().key


def cancelled(scene, _):
    key = scene.ask().key
    list(cancel_keys(scene.store, [key]))
    return key


def running(scene, _):
    scene.ask()
    return run(scene)


#: How jobs without an answer came to be, the state of each, and how the command ends.
WITHOUT = {
    "queued": (lambda scene, _: scene.ask().key, "queued", 75),
    "running": (running, "running", 75),
    "parked": (parked, "parked", 75),
    "paused": (paused, "paused", 75),
    "given up": (give_up, "dead", 1),
    "failed": (lambda scene, raising: scene.answered(body=raising(Permanent("no_such"))).key, "failed", 1),
    "cancelled": (cancelled, "ended", 1),
    "fell back": (fell_back, "ended", 1),
    "never asked for": (lambda *_: "a" * 64, "absent", 1),
}


@pytest.mark.parametrize(("happen", "state", "exit_code"), WITHOUT.values(), ids=WITHOUT)
def test_state_without_an_answer_is_the_one_of_the_list_of_jobs(
    scene, verb, raising, happen, state, exit_code
):
    key = happen(scene, raising)

    listed = verb("jobs", "show", key, "--json")

    assert state == json.loads(listed.stdout)["state"]
    for told in (verb("cache", "get", key), verb("result", key)):
        assert exit_code == told.exit_code
        assert [key, f"no answer, the job is {state}"] == told.stderr.rstrip().split(": ")[:2]
