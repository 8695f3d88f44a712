import json
from dataclasses import replace
from itertools import count

import pytest

from askonce.answer import Answer
from askonce.attempt import current_attempt
from askonce.execution import Computed, Delivery
from askonce.key import identify
from askonce.schedule import Entry, Every, Policy, StoredFile
from askonce.schedule.running import run_slot
from askonce.schedule.site import SLOT, Site
from askonce.schedules import Slot
from askonce.spec import JobSpec, RetryPolicy

#: What a call costs, in US dollars.
PRICE = 0.25
ENTRY = "rates every night"


class Killed(BaseException):
    """The worker's process ends here."""


class OneEntry:
    """A schedule of one entry on a store in memory, its slots, and the workers of the jobs that they make."""

    spec = JobSpec(
        name="rates.fetch",
        key_fields=("currency",),
        soft_ttl=3600.0,
        hard_ttl=86_400.0,
        retry=RetryPolicy(max_attempts=1),
        keep_payload=True,
    )

    def __init__(self, scene, folder):
        self.scene, self.folder = scene, folder
        scene.spec = self.spec
        self.file = folder / "rows.jsonl"
        self.numbers = count()
        #: The moments at which the slot enqueued jobs, and its waits in a worker.
        self.asked_at, self.waited = [], []
        #: Called with the number of each payload before and after it is enqueued.
        self.before = self.after = lambda _number: None
        self.cancelled = lambda: False

    def write(self, *rows):
        self.file.write_text("".join(f"{row if isinstance(row, str) else json.dumps(row)}\n" for row in rows))

    def write_rows(self, count):
        self.write(*({"currency": f"C{number}"} for number in range(count)))

    def kill(self, number, when):
        """Let the worker be killed before or after it enqueues the payload of this *number*."""

        def end(each):
            if each == number:
                raise Killed

        setattr(self, when, end)

    def begin(self, query=None, *, by_hand=False, **policy):
        """Let a slot begin now."""
        query = query or StoredFile(task=self.spec.name, path=self.file)
        self.entry = Entry(name=ENTRY, at=Every(600.0), query=query, policy=Policy(**policy))
        self.slot = Slot(round(float(self.scene.clock()) * 1000), by_hand).name
        self.site = Site(
            store=self.scene.store,
            specs={self.spec.name: self.spec},
            enqueue=self._enqueue,
            identify=lambda _task, payload, tenant: identify(self.spec, payload, tenant),
            listen=self.scene.heard.append,
            clock=lambda: float(self.scene.clock()),
            wait=self._wait,
        )
        self.send()

    def send(self):
        """Enqueue the slot's job."""
        self.key = self.scene.producer.enqueue(SLOT, {"entry": ENTRY, "slot": self.slot}).key
        self.job = self.scene.sender.sent.pop().job

    def _enqueue(self, task, payload, **options):
        assert task == self.spec.name
        number = next(self.numbers)
        self.before(number)
        outcome = self.scene.producer.enqueue(self.spec, payload, **options)
        self.after(number)
        self.asked_at.append(float(self.scene.clock()))
        return outcome

    def _wait(self, seconds):
        self.waited.append(seconds)
        self.scene.clock.advance(seconds)

    def step(self):
        """Let a worker do one step of the slot; then time passes until the next one is due."""

        def body():
            attempt = replace(current_attempt(), is_cancelled=self.cancelled)
            return run_slot(self.site, self.entry, self.slot, attempt)

        execution = self.scene.executor.execute(Delivery(spec=SLOT, job=self.job), body)
        assert getattr(execution, "parked", True), f"a mistake: {execution.reason}"
        self.scene.clock.advance(getattr(execution, "after", 0.0))
        return execution

    def work(self, body=None, most=10**9):
        """Let workers do what was enqueued; return how many calls were made."""
        made = 0

        def call():
            nonlocal made
            made += 1
            return body() if body else Answer({"rate": 5.0}, cost_usd=PRICE)

        while self.scene.sender.sent and made < most:
            job = self.scene.sender.sent.pop(0).job
            self.scene.executor.execute(Delivery(spec=self.spec, job=job), call)
        return made

    def work_until_killed(self):
        """Step and work until the slot's worker is killed; return how many calls were made."""
        made = 0
        for _ in range(100):
            try:
                self.step()
            except Killed:
                return made
            made += self.work()
        pytest.fail("the worker is not killed")

    def finish(self, body=None):
        """Step and work until the slot has ended; return its facts, and how many calls were made."""
        made = 0
        for _ in range(1000):
            execution = self.step()
            if isinstance(execution, Computed):
                return execution.result.value, made + self.work(body)
            made += self.work(body)
        pytest.fail("the slot does not end")

    @property
    def state(self):
        return self.scene.store.schedules.look([ENTRY]).states[ENTRY]

    def resume(self):
        self.scene.store.schedules.resume(ENTRY)


@pytest.fixture
def one_entry(scene, tmp_path):
    return OneEntry(scene, tmp_path)
