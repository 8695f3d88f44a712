"""A model with prepared answers, and a worker that reads meetings with it."""

from dataclasses import dataclass, replace
from types import SimpleNamespace

from askonce.answer import Answer
from askonce.key import identify
from askonce.spec import RetryPolicy
from settings.environment import Settings
from tasks.catalog import catalog

# Two lines of 20 characters with their line ends: one part each at 20 characters, and one at 40.
LONG = "Ann: we start now..\nBob: yes, we do so.."
MEETING = {"meeting_id": "m", "transcript": LONG}
#: A failed part rests for longer than its meeting holds a slot.
REST = 60.0


def extracted(summary: str = "s", **lists) -> dict:
    empty = {"key_points": [], "decisions": [], "action_items": [], "topics": [], "participants": []}
    return {"summary": summary, **empty, **lists}


def analyzed(label: str = "neutral", score: float = 0.0, **lists) -> dict:
    return {
        "sentiment": {"label": label, "score": score},
        "speakers": [],
        "risks": [],
        "evidence": [],
        **lists,
    }


class Model:
    """Gives the prepared answers in order, and remembers what it was asked."""

    def __init__(self, *replies: object, cost: float | None = 0.5):
        self.replies = list(replies)
        self.cost = cost
        self.asked: list[tuple[str, str, type]] = []

    def __call__(self, *, instructions, text, schema) -> Answer:
        self.asked.append((instructions, text, schema))
        reply = self.replies.pop(0)
        if isinstance(reply, Exception):
            raise reply
        if callable(reply):
            reply = reply()
        if isinstance(reply, Answer):
            return reply
        usage = {"input_tokens": 10, "output_tokens": 3}
        return Answer(value=reply, cost_usd=self.cost, usage=usage)

    @property
    def texts(self):
        return [text for _, text, _ in self.asked]


@dataclass
class Reader:
    """A worker, whose tasks have the terms of the catalog."""

    scene: object
    read: object
    max_chars: int = 20
    slot_seconds: float = 45.0

    def __post_init__(self):
        specs = catalog(Settings(_env_file=None))
        # The scene draws the longest rest.
        self.part = replace(specs["meetings.part"], retry=RetryPolicy(base=REST, on_give_up="backoff"))
        self.meeting = specs[f"meetings.{self.read.__name__}"]
        self.scene.use(self.scene.store, self.meeting)
        self.answers = []

    def resources(self, model):
        return SimpleNamespace(
            ask=lambda: model,
            max_input_chars=self.max_chars,
            caller=self.scene.caller,
            part=self.part,
            slot_seconds=self.slot_seconds,
        )

    def ask(self, payload=MEETING, **options):
        return self.scene.ask(payload, **options)

    def work(self, model, payload=MEETING, number=-1):
        """Run the meeting's message: the last one that was sent, or the one of *number*."""

        def body():
            answer = self.read({"transcript": payload["transcript"]}, self.resources(model))
            self.answers.append(answer)
            # It is stored later than the last part.
            self.scene.clock.advance(1)
            return answer

        return self.scene.work(body, number)

    def whole(self, model, payload=MEETING):
        """Ask and work in one go; the answer as the body returned it."""
        self.ask(payload)
        self.work(model, payload)
        return self.answers[-1]

    def part_of(self, operation, text, **more):
        """Return the record of one part."""
        job = identify(self.part, {"operation": operation, "text": text}, **more)
        return self.scene.store.read([job.key])[0]
