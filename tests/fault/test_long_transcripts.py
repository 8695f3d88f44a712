"""Long transcripts: every part is paid once, whatever happens to one of them."""

import json
import os
from dataclasses import replace
from itertools import count

import pytest

from sandbox.outside.controls import luck
from sandbox.outside.ledger import Call, content_of
from tasks.meetings.parts import split
from tasks.meetings.prompts import PROMPTS
from tests.deadlines import stretched

pytestmark = [pytest.mark.fault, pytest.mark.long]

#: Characters of a part; a transcript is three parts.
PART = 120
FORMS = {
    "responses": {"LLM_API": "responses"},
    "chat": {"LLM_API": "chat"},
    "background": {"LLM_API": "responses", "LLM_BACKGROUND": "true"},
}
_numbers = count(1)


@pytest.fixture(
    params=[pytest.param(each, marks=() if each == "chat" else pytest.mark.long) for each in FORMS]
)
def scene(new_scene, request):
    scene = new_scene(LLM_MAX_INPUT_CHARS=str(PART), **FORMS[request.param])
    scene.machine.start_worker("-P", "prefork", "-c", "2", name="first")
    scene.machine.start_worker("-P", "prefork", "-c", "2", name="second")
    return scene


def long_meeting(number):
    """A meeting of three parts, each with a decision of its own."""
    turns = (f"Ana: We decided to ship version {number}.{turn} of the long plan." for turn in range(6))
    return {"meeting_id": f"long-{number}", "transcript": "\n".join(turns)}


def parts_of(meeting):
    parts = split(meeting["transcript"], PART)
    assert len(parts) == 3
    return parts


def content(scene, text):
    """The name of a question in the ledger."""
    prompt = PROMPTS["analyze"]
    model = scene.machine.env.get("OPENAI_MODEL", "gpt-6-luna")
    return content_of(model, prompt.instructions, text, prompt.schema.__name__)


def unlucky_third(scene, seed, share):
    """A meeting of which the third part alone fails, once, where that *share* of calls does."""
    for number in _numbers:
        meeting = long_meeting(number)

        def draw(text, nth, number=number):
            return luck(seed, Call(number=number, service="openai", content=content(scene, text), nth=nth))

        first, second, third = parts_of(meeting)
        good = [draw(first, 1), draw(second, 1), draw(third, 2)]
        if min(good) >= share > draw(third, 1):
            return meeting
    raise AssertionError("there are many numbers")


def calls_of(scene, meeting):
    """How often each part was asked for, in order; also in vain."""
    lines = (scene.machine.folder / "ledger" / "openai.jsonl").read_text().splitlines()
    begun = [line["content"] for line in map(json.loads, lines) if line["event"] == "begun"]
    return [begun.count(content(scene, text)) for text in parts_of(meeting)]


@pytest.mark.parametrize(
    ("setting", "seed"),
    [("llm_failure_rate", 1), ("llm_malformed_rate", 2_000_003)],
    ids=["fails", "malformed"],
)
def test_failed_part_is_asked_again_and_the_others_are_not(scene, setting, seed):
    meeting = unlucky_third(scene, seed, 0.5)
    scene.machine.control(**{setting: 0.5})

    [key] = scene.submit("meetings.analyze", [meeting])
    scene.wait_until_done([key], 60)

    assert calls_of(scene, meeting) == [1, 1, 2]
    # A response that fails in the background does not say what it cost.
    is_silent = setting == "llm_failure_rate" and "LLM_BACKGROUND" in scene.machine.env
    assert bool(scene.record(key).value.meta.spend.usage) != is_silent


def test_two_meetings_with_one_transcript_share_its_parts(new_scene):
    scene = new_scene(LLM_MAX_INPUT_CHARS=str(PART))
    scene.machine.start_worker("-P", "threads", "-c", "4")
    meeting = long_meeting(next(_numbers))
    scene.machine.control(llm_latency=0.3)

    keys = scene.submit("meetings.analyze", [meeting, {**meeting, "meeting_id": "another"}])
    scene.wait_until_done(keys, 60)

    first, second = (scene.record(key).value for key in keys)
    assert calls_of(scene, meeting) == [1, 1, 1]
    whole, again = (replace(answer.meta.spend, caused=None) for answer in (first, second))
    assert (first.data, whole) == (second.data, again)
    # Each part was paid by one of the two.
    assert 3 == first.meta.spend.own.calls + second.meta.spend.own.calls


def test_part_of_a_killed_worker_is_asked_again_and_the_others_are_not(scene, kill):
    meeting, latency = long_meeting(next(_numbers)), stretched(2)
    scene.machine.control(hold=True, llm_latency=latency)
    [key] = scene.submit("meetings.analyze", [meeting])
    for _part in range(2):
        next_part(scene, latency)
    scene.eventually(lambda: calls_of(scene, meeting) == [1, 1, 1], 30)
    if "LLM_BACKGROUND" in scene.machine.env:
        scene.eventually(lambda: "resp_" in reference_of_part(scene), 30)

    kill(scene.pid_of(key))
    scene.let_go()
    scene.wait_until_done([key], 60 + scene.recovery)

    # In the background the next worker reads the response that was under way.
    assert calls_of(scene, meeting) == [1, 1, 1 if "LLM_BACKGROUND" in scene.machine.env else 2]
    assert scene.record(key).attempts == 2


def next_part(scene, latency):
    """Let the part go that is under way, and hold the one after it."""
    assert scene.machine.wait_for_held(1, stretched(30))
    scene.machine.control(hold=False)
    # It takes as long as its latency, and the next one comes after that.
    scene.eventually(lambda: scene.machine.control()["held"] == 0, latency)
    scene.machine.control(hold=True)
    assert scene.machine.wait_for_held(1, stretched(30) + latency)


def reference_of_part(scene):
    """The references of all parts that are under way."""
    found = [scene.client.hget(name, "ref") for name in scene.client.scan_iter("*:rec:*")]
    return str(found)


def test_meeting_that_is_cancelled_in_its_first_part_pays_for_no_other(new_scene):
    scene = new_scene(LLM_MAX_INPUT_CHARS=str(PART))
    scene.machine.start_worker("-P", "threads", "-c", "2")
    scene.machine.control(hold=True)
    meeting, asker = long_meeting(next(_numbers)), scene.new_asker()
    key = asker.ask("meetings.analyze", meeting)["key"]
    asker.begin_to_wait(60)
    assert scene.machine.wait_for_held(1, stretched(30))

    assert os.EX_OK == scene.run_python("-m", "producer", "cancel", key)
    # The worker has read the reply to a renewal before it sends the next one.
    scene.watch_renewals(key, 2)
    scene.let_go()

    [told] = asker.heard()
    assert (key, "cancelled") == (told["key"], told["kind"])
    assert calls_of(scene, meeting) == [1, 0, 0]


def test_long_transcript_outlasts_the_time_of_one_attempt(new_scene):
    scene = new_scene(LLM_MAX_INPUT_CHARS=str(PART), LLM_TIMEOUT="2")
    scene.machine.start_worker("-P", "prefork", "-c", "1", "--loglevel", "DEBUG")
    scene.machine.control(llm_latency=1.2)
    meeting = long_meeting(next(_numbers))

    [key] = scene.submit("meetings.analyze", [meeting])
    scene.wait_until_done([key], 60)

    assert calls_of(scene, meeting) == [1, 1, 1]
    parked = [line for line in scene.log().splitlines() if " job.parked " in line]
    assert [True] == ["reason=more_parts " in line for line in parked]
    assert scene.record(key).attempts == 1
