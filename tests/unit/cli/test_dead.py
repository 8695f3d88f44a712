"""``dead replay`` and ``discard`` act on the dead letters that were meant."""

from dataclasses import replace
from functools import partial

import pytest

from askonce.errors import LayoutNewer, Transient
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


@pytest.fixture
def newer(scene, dead, monkeypatch):
    """The first of the dead jobs: a newer version has written its record."""
    newer, invalidate = dead[0], scene.store.invalidate

    def refusing(key):
        if key == newer:
            raise LayoutNewer(verb="invalidate", key=key)
        return invalidate(key)

    monkeypatch.setattr(scene.store, "invalidate", refusing)
    return newer


def test_record_of_a_newer_version_is_left_alone_and_the_others_are_discarded(scene, verb, dead, newer):
    told = verb("discard", "--all")

    assert (1, "1 done, 1 not\n") == (told.exit_code, told.stderr)
    assert f"{newer} refused: The record was written by a newer version" in told.stdout
    assert {newer} == left(scene)


def test_job_replayed_under_a_new_key_tells_that_its_old_record_was_left_alone(scene, verb, dead, newer):
    scene.use(scene.store, replace(scene.spec, version="2"))

    told = verb("replay", "--all")

    first, second = sorted(told.stdout.splitlines(), key=lambda line: not line.startswith(newer))
    assert (1, "1 done, 1 not\n") == (told.exit_code, told.stderr)
    assert (True, False) == tuple("; refused: The record was written" in each for each in (first, second))
    assert {newer} == left(scene)


def test_job_whose_new_key_is_answered_or_in_flight_leaves_the_list_and_is_not_paid_again(scene, verb, dead):
    scene.use(scene.store, replace(scene.spec, version="2"))
    answered = scene.answered({"currency": "one"}).key
    attached = scene.ask({"currency": "two"}).key
    scene.sender.sent.clear()

    told = verb("replay", "--all")

    assert (0, "2 done, 0 not\n", set()) == (told.exit_code, told.stderr, left(scene))
    assert {f"{dead[0]} hit as {answered}", f"{dead[1]} attached as {attached}"} == set(
        told.stdout.splitlines()
    )
    assert [] == scene.sender.sent
