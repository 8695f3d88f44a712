"""Records of cached functions, and of values of one's own, are named as those of tasks; no job is theirs."""

import json

import pytest

from askonce.controls import Pause
from askonce.errors import Postponed
from tests.unit.weather import Weather

NAMES = ["fn.forecast", "kv.sessions"]


@pytest.fixture
def weather(scene):
    return Weather(scene.store)


@pytest.fixture
def forecast(weather):
    return weather.cached(ttl=60)


def test_function_is_paused_and_resumed_by_its_name(scene, verb, forecast):
    paused = verb("pause", "--task", "fn.forecast", "--note", "over the limit")
    with pytest.raises(Postponed, match="ana@laptop: over the limit"):
        forecast("Lisbon")

    resumed = verb("resume", "--task", "fn.forecast")
    scene.clock.advance(1)

    assert (0, "", 0) == (paused.exit_code, paused.stderr, resumed.exit_code)
    assert "Lisbon" == forecast("Lisbon")["city"]


def test_call_that_a_pause_held_back_waits_for_its_next_caller(verb, forecast):
    verb("pause", "--task", "fn.forecast")
    with pytest.raises(Postponed):
        forecast("Lisbon")
    verb("resume", "--task", "fn.forecast")

    shown = json.loads(verb("jobs", "show", forecast.cache_key("Lisbon"), "--json").stdout)

    assert "queued" == shown["state"]
    assert (
        "it is a cached function's: no worker runs it, and whoever asks next makes the call" == shown["why"]
    )


@pytest.mark.parametrize(
    "words",
    [
        "cache invalidate --task fn.forecast",
        "cache invalidate --version fn.forecast:1",
        "cache clear --task fn.forecast --yes",
    ],
)
def test_answers_of_a_function_are_made_old_by_its_name(verb, weather, forecast, words):
    other = weather.cached(namespace="forecast.daily", ttl=60)
    forecast("Lisbon"), other("Lisbon")

    told = verb(*words.split())
    forecast("Lisbon"), other("Lisbon")

    assert (0, "") == (told.exit_code, told.stderr)
    assert 3 == len(weather.calls)


def test_values_are_made_old_by_their_name(verb, weather):
    sessions = weather.caches[0].get_cache("sessions")
    sessions.set("ana", 1)

    assert 0 == verb("cache", "invalidate", "--task", "kv.sessions").exit_code
    assert sessions.get("ana") is None


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    "words", [["pause"], ["cache", "invalidate"], ["cache", "clear", "--yes"]], ids=" ".join
)
def test_name_needs_no_record_yet(verb, words, name):
    assert 0 == verb(*words, "--task", name).exit_code


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("words", [["jobs", "list"], ["cache", "list"], ["jobs", "cancel"]], ids=" ".join)
def test_list_without_any_of_a_function_is_no_slip(verb, words, name):
    told = verb(*words, "--task", name)

    assert "no task of this application" not in told.stderr


def test_answers_of_a_function_are_listed(verb, forecast):
    forecast("Lisbon")

    told = verb("cache", "list", "--task", "fn.forecast", "--json")

    assert ["fn.forecast"] == [json.loads(line)["task"] for line in told.stdout.splitlines()]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    "words",
    [
        "cache warm {} rows",
        "explain {} {{}}",
        "cache get {} city=Lisbon",
        "cancel --task {} rows",
        "jobs show {} n=1",
    ],
)
def test_payload_of_a_function_is_none_that_a_command_could_ask_for(scene, verb, words, name):
    told = verb(*words.format(name).split())

    assert 2 == told.exit_code
    assert f"Error: {name} is no task but a cached function's: KEY names one of its answers" in told.stderr
    assert [] == scene.sender.sent


@pytest.mark.parametrize("name", ["fn", "forecast", "fnforecast", "Fn.forecast"])
def test_name_of_another_form_is_a_slip(scene, verb, name):
    told = verb("pause", "--task", name)

    assert (2, {}) == (told.exit_code, scene.store.controls.pauses())
    assert "unknown task" in told.stderr
    assert Pause("task", name) not in scene.store.controls.pauses()
