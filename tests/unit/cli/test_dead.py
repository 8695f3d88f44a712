"""``dead replay`` and ``discard`` act on the dead letters that were meant."""

from dataclasses import replace
from functools import partial

import pytest

from askonce.errors import Transient
from askonce.spec import RetryPolicy


@pytest.fixture
def verb(verb):
    return partial(verb, "dead")


@pytest.fixture
def dead(scene, raising):
    """Let the attempts of two jobs be spent; return their keys."""
    scene.use(scene.store, replace(scene.spec, retry=RetryPolicy(max_attempts=1)))
    body = raising(Transient("http_503"))
    return [scene.answered({"currency": each}, body).key for each in ("one", "two")]


def left(scene):
    return {key for key, _ in scene.store.letters.dead_jobs()}


@pytest.mark.parametrize("act", ["list", "replay", "discard"])
@pytest.mark.parametrize("option", ["task", "reason"])
def test_empty_name_chooses_no_dead_letter(scene, verb, dead, act, option):
    told = verb(act, f"--{option}", "")

    assert (2, set(dead)) == (told.exit_code, left(scene))
    assert f"'--{option}': is empty" in told.stderr
