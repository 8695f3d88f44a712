"""A new prompt rolls over rows that were answered by an older one: at a rate, under a ceiling, once each."""

import json
import os
from contextlib import ExitStack, closing
from pathlib import Path
from secrets import token_hex

import pytest

from sandbox.machine import ROOT, wait_for
from sandbox.outside import openai_wire
from tests import preloaded
from tests.deadlines import stretched
from tests.preloaded import Machine
from tests.records import open_records

pytestmark = [pytest.mark.fault, pytest.mark.timeout(240)]

ENTRY, TASK, RATE = "new prompt", "meetings.extract", 20.0
SHORT = {"JOB_LEASE": "3", "REAP_INTERVAL": "0.5"}


class Roll:
    """Workers of the new prompt, and the commands of a person who watches them."""

    def __init__(self, machine, rows, max_cost, store):
        self.machine, self.store, self.number = machine, store, 0
        place = f"{Path(__file__).parent}:{ROOT}"
        own = {"PROMPT": "2", "ROWS": str(rows), "RATE": str(RATE), "MAX_COST": f"{max_cost:.6f}"}
        self.max_cost, self.env = max_cost, {**machine.env, **own, **SHORT, "PYTHONPATH": place}
        self._before = set(self._keys())
        self._calls, self._paid = machine.ledger.openai.calls, self._dollars()

    @property
    def state(self):
        return self.store.schedules.look([ENTRY]).states[ENTRY]

    @property
    def facts(self):
        """What the history says of the slot that is done."""
        [done] = [line for line in self.store.schedules.history(ENTRY) if line.what == "done"]
        return done.facts

    @property
    def calls(self):
        """How many calls were made with the new prompt."""
        return self.machine.ledger.openai.calls - self._calls

    @property
    def spent(self):
        """Dollars for them, by what the service counted."""
        return self._dollars() - self._paid

    def _dollars(self):
        openai, price = self.machine.ledger.openai, openai_wire.PRICE
        return (openai.input_tokens * price["input"] + openai.output_tokens * price["output"]) / 1e6

    @property
    def admitted(self):
        """When its jobs were admitted: milliseconds by the store's clock."""
        new = [key for key in self._keys() if key not in self._before]
        return [each.admitted_at for each in self.store.flights.show(new) if each.task == TASK]

    def _keys(self):
        return [key for some in self.store.flights.walk() for key in some]

    def start(self, queue, *options):
        self.number += 1
        log = self.machine.folder / f"{queue}-{self.number}.log"
        words = ("worker", "--loglevel", "INFO", "-Q", queue, "-n", f"{queue}{self.number}@%h", *options)
        with log.open("wb") as out:
            command = ("-m", "celery", "-A", "prompt_app", *words, "--without-gossip", "--without-mingle")
            process = preloaded.start(command, self.env, stdout=out, stderr=out)
        self.machine.workers.append(process)
        wait_for(lambda: b"ready." in log.read_bytes(), process, log)
        return process

    def tell(self, *words):
        """Run a command of the schedule; its output."""
        log = self.machine.folder / "told"
        with log.open("wb") as out:
            command = ("-m", "celery", "-A", "prompt_app", "askonce", "schedule", *words)
            assert 0 == preloaded.start(command, self.env, stdout=out, stderr=out).wait(stretched(60)), (
                log.read_text()
            )
        return log.read_text()


def meeting():
    own = token_hex(8)
    said = f"Ana: We decided to ship version {own} on Friday.\nBruno: I will write the notes."
    return {"meeting_id": own, "transcript": said}


def ask_with_the_old_prompt(machine, rows):
    """Answer each row once; return what that cost."""
    worker = machine.start_worker("-P", "threads", "-c", "32", name="old")
    output = machine.folder / "old.jsonl"
    assert 0 == machine.submit(TASK, rows, "--wait", output=output).wait(stretched(120))
    worker.terminate()
    worker.wait(stretched(60))
    reports = [json.loads(line) for line in output.read_text().splitlines()]
    return sum(report["cost_usd"] for report in reports)


def most_in_a_second(moments):
    moments = sorted(moments)
    return max(sum(start <= each < start + 1000 for each in moments) for start in moments)


@pytest.fixture
def roll(tmp_path):
    """Answer rows with the old prompt; then the new one may cost a share of that."""
    with ExitStack() as stack:

        def begin(rows, share):
            file = tmp_path / "rows.jsonl"
            file.write_text("".join(json.dumps(row) + "\n" for row in rows))
            machine = stack.enter_context(Machine(outside={"failure_rate": 0, "latency": 0.05}))
            cost = ask_with_the_old_prompt(machine, file)
            store = stack.enter_context(closing(open_records(machine.valkey.url, "jobs")))
            return Roll(machine, file, share * cost, store)

        yield begin


def real_meetings():
    if not (folder := os.environ.get("REAL_DATA_DIR")):
        pytest.skip("REAL_DATA_DIR names no folder with meetings.jsonl")
    return [json.loads(line) for line in (Path(folder) / "meetings.jsonl").read_text().splitlines()]


@pytest.mark.long
@pytest.mark.parametrize(
    ("made_up", "real", "kills"),
    [(20, list, [0.2]), (400, real_meetings, [0.1, 0.3, 0.5])],
    ids=["made up", "real too"],
)
def test_new_prompt_pays_for_each_row_once_and_never_more_than_its_ceiling(
    made_up, real, kills, roll, eventually, kill_group
):
    # Real ones first: no later one is dearer, which could pass the ceiling.
    rows = [*real(), *(meeting() for _ in range(made_up))]
    roll = roll(rows, share=0.6)
    roll.start("askonce", "-P", "threads", "-c", "16")
    roll.tell("run", ENTRY)
    for share in kills:
        slots = roll.start("slots", "-P", "threads", "-c", "2")
        eventually(lambda: roll.calls >= share * len(rows) or roll.state.paused, 120)  # noqa: B023  # called at once
        kill_group(slots)
    slots = roll.start("slots", "-P", "threads", "-c", "2")
    eventually(lambda: roll.state.paused, 120)
    eventually(lambda: roll.machine.ledger.openai.in_flight == 0, 30)
    held, spent = roll.state.paused, roll.spent

    kill_group(slots)
    roll.tell("resume", ENTRY)
    roll.start("slots", "-P", "threads", "-c", "2")
    eventually(lambda: roll.state.open is None and roll.state.succeeded, 180)

    assert held.startswith("cost ceiling 0.")
    assert held.endswith(f" of {len(rows)} asked")
    assert 0.7 * roll.max_cost < spent <= roll.max_cost
    assert len(rows) == roll.calls
    assert {2} == set(roll.machine.ledger.openai.by_content.values())
    assert (len(rows), len(rows)) == (roll.facts["asked"], roll.facts["done"])
    assert roll.spent == pytest.approx(roll.facts["cost_usd"], abs=1e-6)
    assert most_in_a_second(roll.admitted) <= RATE
