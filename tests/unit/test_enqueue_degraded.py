from dataclasses import replace

import pytest

from askonce.errors import ResultTimeout, StoreUnavailable
from askonce.outcomes import Admitted


@pytest.fixture
def scene(scene):
    """A producer whose broker is another server than the store, which does not answer."""
    scene.fail_on("admit")
    scene.producer = replace(scene.producer, sends_alone=True)
    return scene


def test_message_is_sent_without_the_store_and_degraded(scene):
    asked = scene.ask()

    assert (type(asked), asked.degraded) == (Admitted, True)
    [message] = scene.sender.sent
    assert (message.job.id, message.job.key, message.admitted) == (asked.job, asked.key, False)
    [event] = scene.heard
    assert (event.name, dict(event.data)) == ("job.degraded", {"policy": "defer", "source": "none"})


def test_caller_gets_the_answer_when_the_store_is_back(scene):
    asked = scene.ask()
    scene.failing[0].left = 0
    with pytest.raises(ResultTimeout):
        asked.result(0)
    scene.work()

    assert asked.result(0).value == scene.answer


@pytest.mark.parametrize(
    "options",
    [
        {"force": True},
        {"max_age": 5.0},
        {"on_duplicate": "reject"},
        {"tenant": "acme"},
        {"run": "night"},
        {"countdown": 5},
        {"expires": 5},
        {"headers": {"trace": "1"}},
        {"time_limit": 5},
    ],
    ids=lambda options: next(iter(options)),
)
def test_payload_with_options_of_the_record_is_not_sent(scene, options):
    with pytest.raises(StoreUnavailable):
        scene.ask(**options)

    assert scene.sender.sent == []


@pytest.mark.parametrize("change", ["policy", "broker"])
def test_nothing_is_sent_against_the_policy_or_on_one_server(scene, change):
    if change == "policy":
        scene.spec = replace(scene.spec, on_store_down="fail")
    else:
        scene.producer = replace(scene.producer, sends_alone=False)

    with pytest.raises(StoreUnavailable):
        scene.ask()

    assert scene.sender.sent == []


def test_broker_that_is_down_too_raises(scene):
    scene.sender.refuses = True

    with pytest.raises(StoreUnavailable):
        scene.ask()
