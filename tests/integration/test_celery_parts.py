"""Parts of a long transcript, each a job of its own, with a real worker and its reaper."""

from types import SimpleNamespace

import pytest

from askonce.adapters.celery import IdempotentTask
from askonce.errors import Postponed
from askonce.key import identify
from settings.environment import Settings
from tasks.catalog import catalog
from tasks.meetings import body as meetings
from tasks.meetings.questions import part
from tests.unit.meeting_reader import Model, analyzed


class Meetings:
    """A shop that reads meetings with a model of prepared answers."""

    def __init__(self, shop):
        self.shop, self.model = shop, None
        specs = catalog(Settings(_env_file=None))
        self.part = specs["meetings.part"]
        self._register("meetings.part", part, self.part)
        self.analyze = self._register("meetings.analyze", meetings.analyze, specs["meetings.analyze"])

    def _register(self, name, body, spec):
        @self.shop.app.task(name=name, base=IdempotentTask, spec=spec, typing=False, shared=False)
        def run(**payload):
            return body(payload, self.resources())

        return run

    def resources(self):
        return SimpleNamespace(
            ask=lambda: self.model,
            max_input_chars=20,
            caller=self.shop.once.process().caller,
            part=self.part,
            slot_seconds=45.0,
        )

    def events_of(self, task):
        return [event.name for event in self.shop.heard if event.task == task]

    def record_of(self, text):
        job = identify(self.part, {"operation": "analyze", "text": text})
        return self.shop.store.read([job.key])[0]


@pytest.fixture(scope="module")
def working(new_shop):
    meetings_of_shop = Meetings(new_shop("parts"))
    with meetings_of_shop.shop.worker():
        yield meetings_of_shop


@pytest.fixture
def scene(working, monkeypatch, number):
    monkeypatch.setattr("tasks.meetings.questions.LONGEST_REST", 0.5)
    working.shop.heard.clear()
    # Two lines of 20 characters: one part each.
    working.parts = f"Ann: go now.. {number:5}\n", f"Bob: we do it {number:5}\n"
    return working


def ask(scene, *replies):
    """Ask for a meeting, with a model that replies so; its answer."""
    scene.model = Model(*replies)
    return scene.analyze.enqueue({"meeting_id": "m", "transcript": "".join(scene.parts)}).result(30)


def test_part_that_the_model_puts_back_is_asked_again_by_itself(scene):
    one, two = scene.parts

    answer = ask(scene, analyzed(), Postponed("rate_limited", retry_after=1.5), analyzed())

    assert scene.model.texts == [one, two.rstrip(), two.rstrip()]
    assert (answer.attempts, scene.record_of(two.rstrip()).attempts) == (1, 1)
    parked = [event for event in scene.shop.heard if event.name == "job.parked"]
    assert {("meetings.part", "rate_limited"), ("meetings.analyze", "waiting_for_part")} == {
        (event.task, event.data["reason"]) for event in parked
    }


def test_part_is_run_once_by_its_message_or_by_its_meeting(scene, eventually):
    one, two = scene.parts

    ask(scene, Postponed("rate_limited", retry_after=1.5), analyzed(), analyzed())

    # Whichever came first ran the part. The reaper may have sent its message before that.
    eventually(scene.shop.drained, 30)
    assert scene.model.texts == [one, one, two.rstrip()]
    assert scene.events_of("meetings.part").count("job.completed") == 2
