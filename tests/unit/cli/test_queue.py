"""``queue`` shows what waits in the broker's queues; a purge deletes messages, and jobs only on request."""

import json
from collections import Counter
from functools import partial

import pytest

from askonce.announcements import Announcement
from askonce.controls import Pause
from askonce.queues import Queue, Waiting
from askonce.store import Cancellation

NOW = 4_102_444_800.0


@pytest.fixture(autouse=True)
def known_time(monkeypatch):
    monkeypatch.setattr("askonce.cli.queue.time.time", lambda: NOW + 40)


class Broker:
    """Queues with messages, as a test describes them; None shows none."""

    names = ("fast",)

    def __init__(self, messages, *, shows=True):
        self.messages, self._shows = messages, shows

    def look(self, names):
        return [self._queue(name) for name in names]

    def _queue(self, name):
        waiting = self.messages.get(name)
        used = tuple(sorted(Counter(each.priority for each in waiting or ()).items()))
        length = None if waiting is None else len(waiting)
        return Queue(name, length, waiting[0] if waiting and self._shows else None, used)

    def peek(self, name, most):
        return self.messages.get(name, [])[:most] if self._shows else None

    def purge(self, name):
        return len(self.messages.pop(name))


@pytest.fixture
def broker(describe):
    """Let the broker have these messages."""
    return lambda messages, **how: describe(Broker(messages, **how))


@pytest.fixture
def verb(verb):
    return partial(verb, "queue")


def ask(scene, currency, queue="fast", **options):
    return scene.ask({"currency": currency}, queue=queue, **options).key


def message(key="", **more):
    return Waiting(**{"task": "rates.fetch", "id": "j", "key": key, "sent_at": int(NOW * 1000), **more})


def test_queues_of_application_and_workers_are_listed(scene, verb, broker):
    broker({"fast": [message(), message()], "slow": []})
    worker = Announcement(worker="w", queues=("slow", "fast"), tasks={}, slots=8)
    scene.store.announcements.announce(worker, 60.0)
    scene.store.controls.pause(Pause("queue", "slow"), "ana: stop")

    people, programs = verb("list"), verb("list", "--json")

    assert [
        ["queue", "messages", "oldest_seconds", "workers", "slots", "paused"],
        ["fast", "2", "40", "1", "8"],
        ["slow", "0", "-", "1", "8", "ana:", "stop"],
    ] == [line.split() for line in people.stdout.splitlines()]
    assert {
        "queue": "fast",
        "messages": 2,
        "priorities": {"0": 2},
        "oldest_seconds": 40,
        "workers": 1,
        "slots": 8,
        "paused": None,
    } == json.loads(programs.stdout.splitlines()[0])


def test_queue_that_never_had_a_worker_is_listed_while_messages_wait_in_it(scene, verb, broker):
    broker({"fast": [], "bulk": [message()], "empty": []})
    for currency, name in (("EUR", "bulk"), ("BRL", "empty"), ("USD", "gone")):
        ask(scene, currency, name)

    shown = [json.loads(line) for line in verb("list", "--json").stdout.splitlines()]

    assert [("bulk", 1, 0), ("fast", 0, 0)] == [
        (each["queue"], each["messages"], each["workers"]) for each in shown
    ]


def test_lengths_are_shown_by_priority_where_there_are_some(verb, broker):
    broker({"fast": [message(), message(priority=9), message(priority=9)]})

    assert "0: 1, 9: 2" in verb("list").stdout


def test_age_that_cannot_be_seen_is_told(verb, broker):
    broker({"fast": [message()]}, shows=False)

    told = verb("list")

    assert ["fast", "1", "-", "0", "0"] == told.stdout.splitlines()[1].split()
    assert told.stderr.startswith("oldest_seconds is not known of each queue: ")


@pytest.mark.parametrize("messages", [[message(sent_at=0)], None])
def test_what_the_broker_does_not_say_is_unknown_and_never_0(verb, broker, messages):
    broker({"fast": messages})

    shown = json.loads(verb("list", "--json").stdout)

    assert (None, None if messages is None else 1) == (shown["oldest_seconds"], shown["messages"])


def test_next_messages_are_shown_with_the_states_of_their_jobs(scene, verb, broker):
    queued, done = ask(scene, "EUR"), scene.answered({"currency": "BRL"}).key
    broker({"fast": [message(queued), message(done, run="night"), message("x" * 64), Waiting(size=7)]})

    people, programs = verb("peek", "fast"), verb("peek", "fast", "-n", "2", "--json")

    shown = [json.loads(line) for line in programs.stdout.splitlines()]
    assert [(queued, "queued", 40), (done, "done", 40)] == [
        (each["key"], each["state"], each["waits_seconds"]) for each in shown
    ]
    assert "4 shown\n" == people.stderr
    assert queued[:16] in people.stdout
    assert queued not in people.stdout


def test_message_of_a_stranger_moves_no_cursor(verb, broker):
    broker({"fast": [message(task="a\x1b[2J\n", tenant="\u202e")]})

    told = verb("peek", "fast")

    assert (2, False) == (len(told.stdout.splitlines()), "\x1b" in told.stdout)


def test_broker_that_shows_no_message_says_what_does(verb, broker):
    broker({"fast": [message()]}, shows=False)

    told = verb("peek", "fast")

    assert (1, "") == (told.exit_code, told.stdout)
    assert "jobs list shows the jobs" in told.stderr


def test_purge_deletes_messages_and_says_that_the_jobs_stay(scene, verb, broker):
    key = ask(scene, "EUR")
    there = broker({"fast": [message(key)]})

    told = verb("purge", "fast", "--note", "a flood")

    assert (0, "1 message deleted\n", {}) == (told.exit_code, told.stdout, there.messages)
    assert "their jobs stay: each is sent again after its queue deadline" in told.stderr
    assert "queued" == scene.read(key).flight
    [entry] = scene.store.audit.entries()
    assert ("purge", "fast", "ana@laptop", "a flood") == (entry.act, entry.what, entry.who, entry.note)


def test_purge_with_cancel_ends_the_jobs_of_the_queue_and_no_others(scene, verb, broker):
    waits, other = ask(scene, "EUR"), ask(scene, "BRL", queue="slow")
    later = ask(scene, "USD", countdown=60)
    broker({"fast": [message(waits)]})

    told = verb("purge", "fast", "--cancel")

    assert "1 message deleted, 1 job cancelled\n" == told.stdout
    assert ["idle", "queued", "queued"] == [each.flight for each in scene.store.read([waits, other, later])]


def test_purge_whose_job_was_left_alone_has_not_done_all(scene, verb, broker, monkeypatch):
    broker({"fast": [message(ask(scene, "EUR"))]})
    left = Cancellation.UNREADABLE
    monkeypatch.setattr("askonce.cancel.cancel_keys", lambda _store, keys: [(key, left) for key in keys])

    told = verb("purge", "fast", "--cancel")

    assert (1, "1 message deleted, 1 job unreadable\n") == (told.exit_code, told.stdout)


def test_dry_run_deletes_nothing(scene, verb, broker):
    key = ask(scene, "EUR")
    there = broker({"fast": [message(key)]})

    told = verb("purge", "fast", "--cancel", "--dry-run")

    assert "--dry-run: 1 message would be deleted, 1 job would end\n" == told.stdout
    assert (["fast"], "queued") == (list(there.messages), scene.read(key).flight)
    assert [] == list(scene.store.audit.entries())


def test_queue_that_the_broker_does_not_have_is_not_purged(scene, verb, broker):
    broker({})

    told = verb("purge", "fsat")

    assert (1, True) == (told.exit_code, "fsat: the broker has no such queue" in told.stderr)
    assert [] == list(scene.store.audit.entries())


@pytest.mark.parametrize("act", ["peek", "purge"])
def test_empty_queue_that_nobody_knows_is_told(scene, verb, broker, act):
    broker({"fsat": [], "fast": []})

    assert (1, 0) == (verb(act, "fsat").exit_code, verb(act, "fast").exit_code)


@pytest.mark.parametrize("arguments", [["list"], ["peek", "fast"], ["purge", "fast"]])
def test_broker_that_is_away_is_one_line(verb, arguments):
    told = verb(*arguments)

    assert (69, "") == (told.exit_code, told.stdout)
    assert 1 == len(told.stderr.splitlines())
    assert "ConnectionRefusedError" in told.stderr


@pytest.mark.parametrize(
    "arguments", [["peek", "fast", "-n", "0"], ["purge"], ["purge", "a", "--note", "a\nb"]]
)
def test_what_cannot_be_meant_is_refused(verb, broker, arguments):
    broker({"a": []})

    assert 2 == verb(*arguments).exit_code
