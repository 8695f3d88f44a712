"""The life of answers whose service goes away and comes back: real workers, and a ledger of the calls."""

import importlib
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from random import Random
from time import monotonic

import pytest

from askonce.errors import JobFailed
from askonce.outcomes import Hit
from sandbox.outside.ledger import content_of
from tests.deadlines import eventually, stretched
from tests.preloaded import Machine

pytestmark = [pytest.mark.fault, pytest.mark.redis_broker("starts an app of its own")]

#: Seconds for which an answer is fresh, and so many times as long is a day.
PERIOD, PERIODS = 30, 3
HERE, ROOT = Path(__file__).parent, Path(__file__).parents[2]


class Life:
    """The app on one machine, and a producer in this process."""

    def __init__(self, machine, app):
        self.machine, self.app, self.producer = machine, app, app.once.producer

    def ask(self, number, task="strict", **options):
        return self.producer.enqueue(getattr(self.app, task).job_spec, {"cliente_id": number}, **options)

    @property
    def store(self):
        return self.app.once.process().store

    @property
    def calls(self):
        return self.machine.ledger.customers.calls

    def start(self, name, *command):
        log = self.machine.folder / f"{name}.log"
        env = {"PYTHONPATH": f"{HERE}:{ROOT}"}
        process = self.machine.spawn(
            "-m", "celery", "-A", "life_app", *command, "-l", "info", log=log, env=env
        )
        self.machine.workers.append(process)
        return process

    def start_worker(self, name="worker"):
        return self.start(name, "worker", "-P", "threads", "-c", "16", "-n", f"{name}@life")


@pytest.fixture
def new_life(tmp_path, monkeypatch):
    """Start the stand-in with so many customers; return the app whose answers are fresh for so long."""
    machines = []

    def begin(customers, fresh):
        rows = "".join(f"{n},Name {n}\n" for n in range(customers))
        (tmp_path / "customers.csv").write_text(f"cliente_id,cliente_nome\n{rows}")
        options = {"customers": tmp_path / "customers.csv", "failure_rate": 0}
        machine = Machine(outside=options, env={"FRESH_SECONDS": str(fresh)})
        machines.append(machine.__enter__())
        for name, value in machine.env.items():
            monkeypatch.setenv(name, value)
        monkeypatch.syspath_prepend(str(HERE))
        sys.modules.pop("life_app", None)
        return Life(machine, importlib.import_module("life_app"))

    yield begin
    for machine in machines:
        machine.__exit__(None, None, None)


def test_outage_is_answered_by_what_is_known_and_ends_with_one_call_for_each_key(new_life):
    life, keys = new_life(20, fresh=3.0), range(10)
    life.start_worker()
    made = [life.ask(n) for n in keys]
    assert ["call"] * 10 == [each.result(stretched(30)).source for each in made]

    life.machine.outside.stop()
    eventually(lambda: all(is_stale(life.ask(n)) for n in keys))
    first = life.ask(0).answer.stale_for
    eventually(lambda: life.ask(0).answer.stale_for > first)
    unknown = [life.ask(n, "lenient").result(stretched(30)) for n in (11, 11)]
    with pytest.raises(JobFailed, match="unreachable"):
        life.ask(12).result(stretched(30))

    assert [("default", "unreachable")] * 2 == [(each.source, each.reason) for each in unknown]
    assert not isinstance(life.ask(11, "lenient"), Hit)
    assert 10 == life.calls
    life.machine.outside.start()
    # Each answer that is made now stays: so every key is asked for until its next call, and then no more.
    left = set(keys)
    eventually(
        lambda: not left.difference_update({n for n in left if is_fresh(life.ask(n))}) and not left, 60
    )
    assert 20 == life.calls


@pytest.mark.long
@pytest.mark.timeout(400)
def test_day_of_askers_none_of_whom_waits_and_no_answer_that_nobody_wants(new_life):
    life, wanted, once, left = new_life(300, fresh=PERIOD), range(200), range(200, 250), range(250, 300)
    for name in ("one", "other"):
        life.start_worker(name)
    made = [life.ask(n) for n in (*wanted, *once, *left)]
    assert {"call"} == {each.result(stretched(60)).source for each in made}
    life.start("beat", "beat", "-s", str(life.machine.folder / "beat-schedule"))
    before, asked = life.machine.ledger.customers, [{*wanted, *once}, *(set() for _ in range(PERIODS - 1))]

    began = monotonic()
    outcomes = [life.ask(n) for n in once]
    with ThreadPoolExecutor(4) as askers:
        for each in [askers.submit(ask_at_random, life, wanted, began, asked) for _ in range(4)]:
            outcomes += each.result()
    after = life.machine.ledger.customers

    assert [] == [each for each in outcomes if not isinstance(each, Hit)]
    calls = after.answered - before.answered
    assert calls <= 1.1 * sum(map(len, asked)), f"{calls} calls for {list(map(len, asked))} keys"
    # A busy machine may come too late for one that goes stale: nobody asks for it any more.
    assert {1} == {after.by_content[content_of(str(n))] for n in left}
    made_anew = {after.by_content[content_of(str(n))] for n in once}
    assert made_anew <= {1, 2}
    assert 2 in made_anew
    paid = [n for counter, n in life.store.tally.totals().items() if counter.what == "calls"]
    assert after.answered == sum(paid)


def ask_at_random(life, keys, began, asked):
    """Ask for *keys* until the day is over; note which were asked for in each period."""
    draw, outcomes, never = Random(threading.get_ident()), [], threading.Event()
    while (period := int((monotonic() - began) / PERIOD)) < PERIODS:
        number = draw.choice(keys)
        asked[period].add(number)
        outcomes.append(life.ask(number))
        never.wait(0.02)
    return outcomes


def is_stale(outcome):
    return isinstance(outcome, Hit) and outcome.answer.source == "stale"


def is_fresh(outcome):
    return isinstance(outcome, Hit) and outcome.answer.source == "cache"
