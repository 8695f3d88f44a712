"""The metrics process beside real workers and servers: what it shows, also when a server is away."""

import signal
from urllib.error import URLError
from urllib.request import urlopen

import pytest
from prometheus_client.parser import text_string_to_metric_families

from sandbox.server import free_port
from sandbox.valkey import Valkey
from tests.acceptance.conftest import Running
from tests.deadlines import stretched
from tests.servers.proxy import Proxy
from tests.slots_by_hand import ORDERS, ends, schedules_of, start_slot

pytestmark = [pytest.mark.acceptance, pytest.mark.long]

SECRET = "geheim-4711"
LAST_SUCCESS = "askonce_schedule_last_success_timestamp_seconds"


class Served:
    """A metrics process that was started with `--serve`."""

    def __init__(self, machine, folder, eventually, **environment):
        self.port, self._eventually = free_port(), eventually
        command = ("-m", "worker", "metrics", "--serve", f"127.0.0.1:{self.port}")
        self._running = Running(command, {**machine.env, **environment}, folder)

    def scrape(self):
        """Return the samples: name and values of the labels, and the value; None before it listens."""
        try:
            with urlopen(f"http://127.0.0.1:{self.port}/metrics", timeout=stretched(30)) as answer:
                text = answer.read().decode()
        except URLError:
            return None
        found = [one for family in text_string_to_metric_families(text) for one in family.samples]
        return {(one.name, *one.labels.values()): one.value for one in found}

    def until(self, condition):
        """Scrape until *condition* holds of the samples; return them."""
        return self._eventually(lambda: (seen := self.scrape()) and condition(seen) and seen, 60)

    def end(self):
        """End it as a supervisor does; return what it wrote."""
        self._running.process.send_signal(signal.SIGTERM)
        told = self._running.finish()
        assert (0, "") == (told.code, told.out), told
        return told.err

    def close(self):
        self._running.close()


@pytest.fixture
def serve(tmp_path_factory, eventually):
    started = []

    def begin(machine, **environment):
        started.append(Served(machine, tmp_path_factory.mktemp("metrics"), eventually, **environment))
        return started[-1]

    yield begin
    for each in started:
        each.close()


def test_jobs_of_all_processes_are_shown_and_outlive_every_one_of_them(machine, submit, serve, new_meeting):
    task, rows = "meetings.extract", [new_meeting() for _ in range(3)]
    first = serve(machine)
    before = first.until(lambda seen: seen["askonce_store_up",])
    told = submit(machine, task, rows + rows, "--wait")
    assert 0 == told.code, told.err

    after = first.until(
        lambda seen: seen["askonce_jobs_total", "done", task] > before["askonce_jobs_total", "done", task]
    )
    first.end()
    again = serve(machine).until(lambda seen: seen["askonce_store_up",])

    grown = {
        name: after[name] - before[name] for name in before if name[-1] == task and after[name] > before[name]
    }
    assert {
        ("askonce_enqueued_total", "admitted", task): 3,
        ("askonce_enqueued_total", "attached", task): 3,
        ("askonce_jobs_total", "done", task): 3,
        ("askonce_duplicates_total", "flight", task): 3,
        ("askonce_runs_started_total", task): 3,
        ("askonce_wait_seconds_count", task): 3,
        ("askonce_run_seconds_count", task): 3,
    }.items() <= grown.items()
    counted = [name for name in after if name[0].endswith(("_total", "_count", "_sum"))]
    assert [after[name] for name in counted] == [again[name] for name in counted]
    assert (1, 32) == (again["askonce_workers",], again["askonce_worker_slots",])


@pytest.mark.parametrize("pool", ["threads", "prefork"])
def test_last_success_of_an_entry_stands_still_while_its_job_fails(
    new_machine, serve, eventually, tmp_path, pool
):
    orders = tmp_path / "orders.jsonl"
    orders.write_text("")
    machine = new_machine(env={"ORDERS_FILE": str(orders)}, outside={"failure_rate": 0})
    never = serve(machine).until(lambda seen: seen["askonce_store_up",])
    machine.start_worker("-P", pool, "-c", "1")

    def ran(what):
        """Start a slot, and return the last success when the slot has ended so."""
        with schedules_of(machine) as schedules:
            before = len(ends(schedules))
            assert 0 == start_slot(machine)
            ended = eventually(lambda: len(ends(schedules)) > before and ends(schedules), 60)
        assert what == ended[0][0]
        seen = serve(machine).until(lambda seen: seen["askonce_store_up",])
        assert {ORDERS} == {name[1] for name in seen if name[0] == LAST_SUCCESS}
        return seen[LAST_SUCCESS, ORDERS]

    first = ran("done")
    orders.unlink()
    failed = [ran("failed"), ran("failed")]
    orders.write_text("")
    last = ran("done")

    assert (0, 1) == (never[LAST_SUCCESS, ORDERS], never["askonce_schedule_entries",])
    assert [first, first] == failed
    assert 0 < first < last


def test_server_that_is_away_is_shown_and_read_again_when_it_is_back(idle_machine, serve):
    with Valkey(tcp=True) as server, Proxy(server.port) as proxy:
        place = f"127.0.0.1:{proxy.port}/0"
        urls = {"REDIS_URL": f"redis://{place}", "CELERY_BROKER_URL": f"redis://:{SECRET}@{place}"}
        with proxy.refusing():
            metrics = serve(idle_machine, **urls)
            away = metrics.until(lambda seen: not seen["askonce_store_up",])
        back = metrics.until(lambda seen: seen["askonce_store_up",])
        told = metrics.end()

    assert ("askonce_jobs_in_flight",) not in away, "an old number stands in for none"
    assert (0, 0) == (away["askonce_broker_up",], back["askonce_jobs_in_flight",])
    of_store = [line.partition("metrics: ")[2] for line in told.splitlines() if "metrics: the store" in line]
    assert ["the store cannot be read", "the store is read again"] == [
        line.split(" (")[0] for line in of_store[:2]
    ]
    assert SECRET not in told
    assert "Traceback" not in told


def test_queue_that_never_had_a_worker_is_listed_and_has_series(
    idle_machine, producer, submit, serve, new_meeting
):
    told = submit(idle_machine, "meetings.extract", [new_meeting()], "--queue", "askonce-nobody")
    assert 0 == told.code, told.err

    shown = producer(idle_machine, "queue", "list", "--json").reports
    metrics = serve(idle_machine)
    seen = metrics.until(lambda seen: seen["askonce_store_up",])
    metrics.end()

    [listed] = [each for each in shown if each["queue"].endswith("askonce-nobody")]
    assert (1, 0) == (listed["messages"], listed["workers"])
    # Of these the alert AskonceNoWorkers is made.
    name = listed["queue"]
    assert (1, 0) == (seen["askonce_queue_messages", name], seen["askonce_queue_workers", name])
