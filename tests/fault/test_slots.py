"""Slots of real schedulers and workers; a test moves the store's time, which is the only one that decides."""

import json
import os
import signal
import subprocess
import sys
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path

import pytest
from redis import Redis

from askonce.adapters.redis import RedisStore
from sandbox.valkey import Valkey
from tests import preloaded
from tests.deadlines import eventually, stretched

pytestmark = [pytest.mark.fault, pytest.mark.redis_broker("moves the time of its server")]

HERE, ROOT = Path(__file__).parent, Path(__file__).parents[2]
CLOCK = (HERE / "moved_clock.lua").read_text()
HOUR = 3_600
SPRING, AUTUMN = datetime(2027, 3, 27, 23, tzinfo=UTC), datetime(2027, 10, 30, 23, tzinfo=UTC)


class Site:
    """Schedulers and workers of one app, and what they did; *server* is the broker, and the store beside."""

    def __init__(self, server, store, folder, of):
        self.server, self.store_server, self.folder, self.of = server, store, folder, of
        self.client, self.clock = Redis.from_url(server.url), Redis.from_url(store.url)
        self.store = RedisStore(Redis.from_url(store.url), namespace="slots", clock=CLOCK)
        self.running = {}
        (folder / "rows").write_text('{"currency": "BRL"}\n')

    def start(self, name, *command, **env):
        env = {
            **os.environ,
            "SLOTS_URL": self.server.url,
            "SLOTS_STORE_URL": self.store_server.url,
            "SLOTS_OF": self.of,
            "SLOTS_FILE": str(self.folder / "rows"),
            "PYTHONPATH": f"{HERE}:{ROOT}",
            **env,
        }
        words = ("-m", "celery", "-A", "slots_app", *command, "-l", "info")
        with (self.folder / name).open("ab") as log:
            if "SKEW_SECONDS" in env:
                wrapper = (sys.executable, "-m", "sandbox.run_with_parent", "SIGKILL", "--", sys.executable)
                process = subprocess.Popen(
                    [*wrapper, *words], env=env, cwd=self.folder, stdout=log, stderr=log
                )
            else:
                process = preloaded.start(words, env, cwd=self.folder, stdout=log, stderr=log)
        self.running[name] = process

    def start_beat(self, name, *, skew=0, **env):
        if skew:
            env |= {"SKEW_SECONDS": str(skew), "PYTHONPATH": f"{HERE / 'wrong_clock'}:{HERE}:{ROOT}"}
        self.start(name, "beat", "-s", f"schedule-{name}", **env)

    def start_worker(self, name="worker"):
        self.start(name, "worker", "-P", "threads", "-c", "4", "-n", f"{name}@test")

    def kill(self, name):
        process = self.running.pop(name)
        process.kill()
        process.wait(stretched(15))

    def move_to(self, moment):
        """Set the store's time."""
        seconds, micros = self.clock.time()
        self.clock.set("moved", round(moment.timestamp() * 1_000_000) - seconds * 1_000_000 - micros)

    def advance(self, seconds):
        self.clock.incrby("moved", seconds * 1_000_000)

    def wait_until_begun(self, *names):
        eventually(lambda: all(state.last for state in self.states(*names).values()), 60)

    def states(self, *names):
        return self.store.schedules.look(names).states

    def heard(self, name, **fields):
        found = [json.loads(line) for line in self.client.lrange("heard", 0, -1)]
        return [data for kind, data in found if kind == name and fields.items() <= data.items()]

    def ran(self):
        """Return the slots of each entry whose job was done, in the order of their ends."""
        done = [dict(each["ids"]) for each in self.heard("job.done", outcome="done")]
        slots = {}
        for each in done:
            slots.setdefault(each["entry"], []).append(each["slot"])
        return slots

    def plain(self):
        """Return how often Celery's own entry ran."""
        return int(self.client.get("plain") or 0)

    def close(self):
        for process in self.running.values():
            process.kill()
        for process in self.running.values():
            process.wait(stretched(15))
        self.store.close()
        self.client.close()
        self.clock.close()


@pytest.fixture
def site(request, tmp_path):
    with Valkey(tcp=True) as server:
        site = Site(server, server, tmp_path, request.param)
        yield site
        site.close()


@pytest.fixture
def site_of_two_servers(request, tmp_path):
    with Valkey(tcp=True) as server, Valkey(tcp=True) as store:
        site = Site(server, store, tmp_path, request.param)
        yield site
        site.close()


def of(name):
    return pytest.mark.parametrize("site", [name], indirect=True)


@pytest.mark.long
@of("clocks")
@pytest.mark.parametrize(
    ("start", "berlin", "new_york", "hours"),
    [
        (SPRING, ["2027-03-28T01:00:00Z"], ["2027-03-28T05:30:00Z"], 12),
        (AUTUMN, ["2027-10-31T00:30:00Z"], ["2027-10-31T05:30:00Z"], 12),
        (datetime(2027, 3, 14, 0, tzinfo=UTC), ["2027-03-14T01:30:00Z"], ["2027-03-14T06:30:00Z"], 12),
        (datetime(2027, 11, 7, 0, tzinfo=UTC), ["2027-11-07T01:30:00Z"], ["2027-11-07T05:30:00Z"], 12),
    ],
    ids=["Berlin in spring", "Berlin in autumn", "New York in spring", "New York in autumn"],
)
def test_each_slot_runs_once_over_a_change_of_clocks_and_killed_schedulers(
    site, start, berlin, new_york, hours
):
    site.move_to(start)
    site.start_worker()
    site.start_beat("ahead", skew=7200)
    site.start_beat("second")
    names = "berlin", "new york", "hourly", "seconds"
    site.wait_until_begun(*names)
    eventually(lambda: site.heard("schedule.clock_off"), 60)
    for hour in range(hours):
        site.move_to(datetime.fromtimestamp(start.timestamp() + hour * HOUR + 2000, UTC))
        expected = hour + 1
        eventually(lambda expected=expected: len(site.ran().get("hourly", ())) >= expected, 60)
        eventually(lambda: not any(state.open for state in site.states(*names).values()), 60)
        if hour == hours // 3:
            site.kill("ahead")
        if hour == hours // 2:
            site.start_beat("third")
            site.kill("second")

    ran = site.ran()
    assert (berlin, new_york) == (ran["berlin"], ran["new york"])
    assert [stamp(start, hour * HOUR + 900) for hour in range(hours)] == ran["hourly"]
    assert [stamp(start, hour * HOUR) for hour in range(hours) if is_even(start, hour)] == ran["seconds"]
    assert [] == site.heard("schedule.missed")
    plain = site.plain()
    eventually(lambda: site.plain() >= plain + 3, 60)


def stamp(start, seconds):
    return datetime.fromtimestamp(start.timestamp() + seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def is_even(start, hour):
    return hour > 0 and (start.hour + hour) % 2 == 0


@of("policies")
def test_hours_without_a_scheduler_are_caught_up_with_as_each_policy_says(site):
    start = datetime(2027, 1, 1, 0, 30, tzinfo=UTC)
    site.move_to(start)
    site.start_worker()
    site.start_beat("first")
    site.wait_until_begun("once", "all", "never")
    site.kill("first")
    site.move_to(datetime(2027, 1, 1, 3, 30, tzinfo=UTC))
    site.start_beat("second")
    site.start_beat("third")

    eventually(lambda: len(site.ran().get("all", ())) == 3 and site.ran().get("once"), 60)
    history = {name: counted(site, name) for name in ("once", "all", "never")}

    slots = [f"2027-01-01T0{hour}:00:00Z" for hour in (1, 2, 3)]
    assert {"once": slots[-1:], "all": slots} == site.ran()
    assert {"missed": 1} == history["never"]
    assert 1 == history["once"]["missed"]
    assert {slots[0]} == {each["slot"] for each in site.heard("schedule.missed")}
    assert {slots[1], slots[2]} == {each["until"] for each in site.heard("schedule.missed")}


def counted(site, name):
    return Counter(line.what for line in site.store.schedules.history(name))


@of("backlog")
def test_hours_without_workers_leave_one_message_of_an_entry(site):
    site.move_to(datetime(2027, 1, 1, 0, 30, tzinfo=UTC))
    site.start_beat("first")
    site.start_beat("second")
    site.wait_until_begun("skip", "queue one")
    for hours in range(1, 9):
        site.advance(HOUR)
        eventually(lambda hours=hours: len(site.store.schedules.history("skip")) >= hours, 60)
        eventually(lambda hours=hours: len(site.store.schedules.history("queue one")) >= hours, 60)
    history = counted(site, "skip"), counted(site, "queue one")
    messages = [json.loads(each) for each in site.client.lrange("slots:celery", 0, -1)]
    waiting = [each for each in messages if each["headers"]["task"] == "askonce.slot"]

    site.start_worker()
    eventually(lambda: len(site.ran().get("queue one", ())) == 2 and site.ran().get("skip"), 60)

    assert 2 == len(waiting)
    assert ({"sent": 1, "skipped": 7}, {"sent": 1, "waits": 1, "skipped": 6}) == history
    slots = ["2027-01-01T01:00:00Z", "2027-01-01T02:00:00Z"]
    assert {"skip": slots[:1], "queue one": slots} == site.ran()


@of("policies")
def test_slot_of_a_scheduler_that_is_killed_before_it_enqueues_runs_all_the_same(site):
    site.move_to(datetime(2027, 1, 1, 0, 30, tzinfo=UTC))
    site.start_worker()
    site.start_beat("first", DIES_BEFORE_IT_ENQUEUES="1")
    site.wait_until_begun("once", "all", "never")
    site.move_to(datetime(2027, 1, 1, 1, 0, 1, tzinfo=UTC))
    assert -signal.SIGKILL == site.running.pop("first").wait(stretched(30))
    decided = [name for name, state in site.states("once", "all", "never").items() if state.open]
    assert decided
    assert {} == site.ran()

    site.start_beat("second")

    eventually(lambda: len(site.ran()) == 3, 60)
    assert {name: ["2027-01-01T01:00:00Z"] for name in ("once", "all", "never")} == site.ran()


@pytest.mark.parametrize("site_of_two_servers", ["policies"], indirect=True)
def test_store_that_is_away_stops_no_plain_entry_and_is_caught_up_with(site_of_two_servers):
    site = site_of_two_servers
    site.move_to(datetime(2027, 1, 1, 0, 30, tzinfo=UTC))
    site.start_worker()
    site.start_beat("first")
    site.wait_until_begun("once", "all", "never")
    site.store_server.stop()
    eventually(lambda: site.heard("schedule.away"), 60)
    plain = site.plain()
    eventually(lambda: site.plain() >= plain + 3, 60)

    site.store_server.start()
    site.move_to(datetime(2027, 1, 1, 2, 30, tzinfo=UTC))

    slots = ["2027-01-01T01:00:00Z", "2027-01-01T02:00:00Z"]
    eventually(lambda: len(site.ran().get("all", ())) == 2 and site.ran().get("once"), 60)
    assert {"once": slots[1:], "all": slots} == site.ran()
    assert 1 == len(site.heard("schedule.away"))
    assert 1 == len(site.heard("schedule.back"))
