import json
from pathlib import Path

import pytest

from askonce.letters import DeadMessage
from askonce.store import Failing
from tests.jobs import new_claim, new_job, new_lease

pytestmark = [pytest.mark.acceptance, pytest.mark.long]

STRANGER = str(Path(__file__).with_name("send_raw.py"))


@pytest.fixture
def dead(machine, producer):
    """Run `producer dead` on the machine."""
    return lambda *arguments: producer(machine, "dead", *arguments)


@pytest.fixture
def quarantined(machine, submit, new_meeting):
    """A meeting whose three attempts failed; the report of its asker."""
    meeting = new_meeting()
    machine.control(llm_error_rate=1.0)
    told = submit(machine, "meetings.extract", [meeting], "--wait").report
    machine.control(llm_error_rate=0.0)
    assert "quarantined" == told["error"]["kind"]
    return told


@pytest.fixture(autouse=True)
def no_dead_letters(store):
    """Discard the dead letters of other tests."""
    for key, _ in store.letters.dead_jobs():
        store.invalidate(key)
    store.letters.show([key for key, _ in store.letters.dead_jobs()])
    store.letters.drop([letter.id for letter in store.letters.dead_messages()])


def test_dead_job_is_listed_and_shown_with_its_history(dead, quarantined):
    key = quarantined["key"]

    listed, [shown] = dead("list", "--json"), dead("show", key[:12]).reports
    payload = dead("show", key, "--payload").report["payload"]

    assert [(0, key)] == [(listed.code, report["key"]) for report in listed.reports]
    assert (3, 3, "meetings.extract") == (shown["attempts"], len(shown["history"]), shown["task"])
    assert "transcript" in payload
    assert "transcript" not in listed.out + json.dumps(shown)


def test_replayed_job_is_one_more_call_and_leaves_the_list(machine, dead, store, quarantined, eventually):
    key, before = quarantined["key"], machine.ledger.openai

    told = dead("replay", key)
    eventually(lambda: store.read([key])[0].value, 60)

    assert (0, f"{key} admitted\n") == (told.code, told.out)
    assert before.calls + 1 == machine.ledger.openai.calls
    assert [] == dead("list", "--json").reports


def test_discarded_job_is_forgotten_and_may_be_enqueued_again(machine, dead, store, quarantined):
    key = quarantined["key"]

    told, again = dead("discard", "--reason", quarantined["error"]["reason"]), dead("discard", key)

    assert (0, f"{key} discarded\n") == (told.code, told.out)
    assert 1 == again.code
    assert "Traceback" not in again.err
    assert "absent" == store.read([key])[0].status.value


def test_message_that_is_no_job_is_listed_and_others_run(
    machine, dead, start, submit, new_order, store, eventually, tmp_path
):
    path = tmp_path / "messages.jsonl"
    path.write_text(json.dumps(["no.such.task", {"n": 1}]) + "\n")
    assert 0 == start(machine, STRANGER, str(path), PYTHONPATH=".").finish().code
    eventually(store.letters.dead_messages, 30)

    answered = submit(machine, "orders.enrich", [new_order()], "--wait").report
    [letter] = dead("list", "--json").reports
    replayed = dead("replay", letter["id"])
    eventually(lambda: [each.id for each in store.letters.dead_messages()] not in ([], [letter["id"]]), 30)
    discarded = dead("discard", "--all")

    assert "done" == answered["status"]
    assert ("message", "unknown_task") == (letter["what"], letter["reason"])
    assert (0, 0) == (replayed.code, discarded.code)
    assert [] == dead("list", "--json").reports


def test_replayed_dead_message_is_worked_on(machine, dead, store, queue_of, new_order, eventually):
    order = new_order()
    about = {
        "headers": {"lang": "py", "task": "orders.enrich", "id": "letter-1"},
        "content_type": "application/json",
        "content_encoding": "utf-8",
    }
    embed = {"callbacks": None, "errbacks": None, "chain": None, "chord": None}
    body = json.dumps([[], order, embed]).encode()
    letter = DeadMessage(
        reason="unknown_task",
        task="orders.enrich",
        queue=queue_of(machine).CALLED,
        about=json.dumps(about).encode(),
        body=body,
    )
    store.letters.keep(letter)
    before = machine.ledger.customers.answered

    told = dead("replay", "--task", "orders.enrich")
    eventually(lambda: machine.ledger.customers.answered > before, 60)

    assert 0 == told.code, told.err
    assert [] == store.letters.dead_messages()


def test_dead_message_for_a_queue_without_workers_is_kept(dead, store):
    about = json.dumps({"headers": {"task": "t"}, "content_type": "x", "content_encoding": "y"}).encode()
    store.letters.keep(
        DeadMessage(reason="unknown_task", task="t", queue="elsewhere", about=about, body=b"{}")
    )

    told = dead("replay", "--task", "t")

    assert 1 == told.code
    assert "no worker reads its queue 'elsewhere'" in told.out
    assert ["elsewhere"] == [letter.queue for letter in store.letters.dead_messages()]


def test_long_quarantine_is_listed_in_pages(dead, store):
    keys = [f"{n % 256:02x}{n:062x}" for n in range(1, 2_001)]
    for key in keys:
        store.admit(new_claim(key, max_attempts=1))
        store.start(new_job(key), new_lease(key))
        store.fail(new_lease(key), Failing(kind="transient", reason="http_503"))

    some, everything = dead("list"), dead("list", "--all", "--json")

    assert (0, 100) == (some.code, len(some.out.splitlines()))
    assert "--all" in some.err
    assert sorted(keys) == sorted(report["key"] for report in everything.reports)


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (("show", "abc"), 1),
        (("replay", "0" * 64), 1),
        (("replay",), 2),
        (("discard", "--all", "0" * 64), 2),
        (("show",), 2),
    ],
)
def test_mistake_is_one_line(dead, arguments, code):
    told = dead(*arguments)

    assert code == told.code
    assert "Traceback" not in told.err
    assert told.err


def test_store_that_is_down_is_one_line(dead, machine, producer):
    told = producer(machine, "dead", "list", REDIS_URL="redis://127.0.0.1:1/0", CELERY_BROKER_URL="")

    assert (69, "") == (told.code, told.out)
    assert 1 == len(told.complaints)
