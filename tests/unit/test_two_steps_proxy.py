"""A response in the background behind a proxy that packs its routes into the ids, as LiteLLM does."""

import httpx2
import pytest

from tests.unit.kept_responses import GOOD, USAGE, KeptResponses, body


@pytest.fixture
def scene():
    return KeptResponses()


def packed(state):
    """Reply with an id that nobody has seen, of the length that LiteLLM's have."""
    return lambda response: httpx2.Response(200, json=body(f"resp_{len(response)}".ljust(477, "x"), state))


def test_response_is_read_though_each_reply_gives_it_another_id(scene):
    scene.creations, scene.looks = [packed("queued")], [packed("in_progress"), packed("completed")]

    answer = scene.ask()

    asked = [line for line in scene.story if line.startswith("look")]
    assert (answer.value, answer.usage) == (GOOD, USAGE)
    assert 2 == len(asked)
    # The first id is the one that names it.
    assert 1 == len(set(asked))


@pytest.mark.parametrize("reply", [{}, {"status": "completed"}, {"id": "", "status": "completed"}])
def test_body_without_an_id_is_no_end_of_a_response(scene, reply):
    scene.looks = [lambda _: httpx2.Response(200, json=reply)]

    answer = scene.ask()

    assert (answer.value, answer.usage) == (GOOD, USAGE)
    assert 2 == len([line for line in scene.story if line.startswith("look")])
