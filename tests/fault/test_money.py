"""The counters of money, beside what the provider itself noted: they agree to the millionth of a dollar."""

import json
from collections import Counter

import pytest

from sandbox.outside.openai_wire import PRICE
from tests.deadlines import stretched

pytestmark = [pytest.mark.fault, pytest.mark.redis_broker("its servers and links are Redis's")]

#: Characters; a long meeting is some parts.
PART = 300
WORKERS = "first", "second"


@pytest.fixture
def scene(new_linked_scene):
    scene = new_linked_scene(LLM_MAX_INPUT_CHARS=str(PART))
    for name in WORKERS:
        scene.machine.start_worker("-P", "prefork", "-c", "2", name=name)
    return scene


@pytest.mark.long
def test_tally_equals_the_ledger_after_kills_outage_and_garbage(scene, kill, stopped):
    known = scene.meetings(3)
    first = scene.submit("meetings.extract", known)
    scene.wait_until_done(first)
    price_of_known = sum(map(price, answered(scene, "openai")))

    lose_a_run(scene, kill)
    overtake_an_owner(scene, stopped)
    read_long_meetings_with_malformed_answers(scene)
    looked_up = work_without_the_store(scene)
    scene.submit("orders.enrich", [{"order_id": n, "cliente_id": 100 + n} for n in range(3)])
    assert first == scene.submit("meetings.extract", known)
    scene.wait_until_quiet(60)
    end_workers(scene)

    calls = answered(scene, "openai")
    paid = [call for call in calls if call["delivered"]]
    counted = counters(scene)
    assert 1 == len(calls) - len(paid), "the killed one"
    assert {
        "calls": len(paid),
        "micro_usd": sum(map(price, paid)),
        "tokens:input_tokens": sum(call["input_tokens"] for call in paid),
        "tokens:output_tokens": sum(call["output_tokens"] for call in paid),
        "in_doubt": 1,
    } == {what: amount for what, amount in counted["meetings"].items() if is_money(what)}
    known = counters(scene, words=2)["meetings.extract"]
    assert (3, price_of_known) == (known["hit"], known["avoided_micro_usd"])
    assert not any(map(is_money, counters(scene, words=2)["meetings.full"])), "its parts paid"
    lookups = len(answered(scene, "customers"))
    assert looked_up <= lookups
    assert {"calls": lookups, "unpriced": lookups} == {
        what: amount for what, amount in counted["customers"].items() if is_money(what)
    }
    assert not any(map(is_money, counted["orders"])), "its look-ups paid"


def lose_a_run(scene, kill):
    keys = scene.hold_meetings(3)
    kill(scene.pid_of(keys[0]))
    scene.let_go()
    scene.wait_until_done(keys, scene.recovery)


def overtake_an_owner(scene, stopped):
    [key] = scene.hold_meetings(1)
    with stopped(scene.pid_of(key)):
        scene.let_go()
        scene.wait_until_done([key], scene.recovery)
    scene.eventually(lambda: 1 == count(scene, "job.fenced"), 30)


def read_long_meetings_with_malformed_answers(scene):
    before = scene.machine.ledger.openai.surplus
    scene.machine.control(llm_malformed_rate=0.15)
    keys = scene.submit("meetings.full", [long_meeting(number) for number in range(6)])
    scene.eventually(lambda: all(record.flight == "idle" for record in scene.store.read(keys)), 90)
    scene.machine.control(llm_malformed_rate=0.0)
    assert any(record.value for record in scene.store.read(keys))
    assert scene.machine.ledger.openai.surplus > before, "malformed answers were asked for again"


def work_without_the_store(scene):
    """Let answers wait for the store, and calls be made without it; return the number of these calls."""
    running, asker = scene.hold_meetings(2), scene.new_asker()
    asker.ask("orders.enrich", {"order_id": "warm-up", "cliente_id": 1})
    customers = [str(number) for number in range(2, 8)]
    with scene.to_records.blocked():
        told = [asker.ask("customers.lookup", {"cliente_id": customer}) for customer in customers]
        scene.let_go()
        scene.eventually(lambda: count(scene, "job.unstored") >= 2 + len(customers), 60)
        scene.to_records.cut()
    scene.wait_until_done([*running, *(answer["key"] for answer in told)], 60)
    return len(customers)


def end_workers(scene):
    """End the workers, which first store what waits for the store."""
    for worker in scene.machine.workers:
        worker.terminate()
    assert [0, 0] == [worker.wait(stretched(60)) for worker in scene.machine.workers]
    assert 0 == count(scene, "job.unkept")


def long_meeting(number):
    turns = (f"Ana: We decided to ship version {number}.{turn} of the long plan." for turn in range(20))
    return {"meeting_id": f"long-{number}", "transcript": "\n".join(turns)}


def count(scene, event):
    return sum(scene.log(name).count(event) for name in WORKERS)


def answered(scene, service):
    """The ends of the calls that the provider answered, as it noted them."""
    lines = (scene.machine.folder / "ledger" / f"{service}.jsonl").read_text().splitlines()
    ends = (line for line in map(json.loads, lines) if line["event"] == "ended")
    return [line for line in ends if line["status"] == 200]


def price(call):
    """The price of one call in millionths of a dollar: a whole number, so any sums of them are exact."""
    return int(call["input_tokens"] * PRICE["input"] + call["output_tokens"] * PRICE["output"])


def counters(scene, words=1):
    """The counters of each task's first *words*; those that are 0 are left out."""
    sums = {}
    for counter, amount in scene.store.tally.totals().items():
        sums.setdefault(".".join(counter.task.split(".")[:words]), Counter())[counter.what] += amount
    return {
        task: {what: amount for what, amount in all_of.items() if amount} for task, all_of in sums.items()
    }


def is_money(what):
    return what in ("calls", "micro_usd", "unpriced", "in_doubt") or what.startswith("tokens:")
