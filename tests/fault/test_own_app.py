"""An app of README's few lines, with Celery's own settings: nothing that a killed worker held is lost."""

import json
import os
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from sandbox.demo import children_of
from sandbox.valkey import Valkey
from tests import preloaded
from tests.deadlines import stretched

pytestmark = [pytest.mark.fault, pytest.mark.redis_broker("has brokers of its own")]

HERE, ROOT = Path(__file__).parent, Path(__file__).parents[2]
[EXAMPLE] = re.findall(r"```python\n(from celery.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
POOLS = {"threads": ("-P", "threads", "-c", "2"), "prefork": ("-P", "prefork", "-c", "2")}
#: Lease and visibility timeout. Empty for README's own: a test then takes two minutes.
SHORT_SECONDS = os.environ.get("OWN_APP_SECONDS", "3")
PATIENCE = 60 if SHORT_SECONDS else 240


class Shop:
    """README's example on one server, its workers, and the ledger of their calls."""

    def __init__(self, folder, url, broker, eventually):
        self.folder, self.eventually, self.processes = folder, eventually, []
        self.ledger, self.hold = folder / "ledger", folder / "hold"
        self.ledger.touch()
        example = EXAMPLE.replace("redis://127.0.0.1:6379/0", url)
        if broker:
            # README's transport is for a broker on Redis.
            example = re.sub(r"app.conf.broker_transport = .*\n", "", example)
            example = example.replace("broker=URL", f'broker="{broker}"')
        (folder / "shop.py").write_text(example)
        self.env = {
            **os.environ,
            "PYTHONPATH": f"{folder}:{HERE}:{ROOT}",
            "LEDGER": str(self.ledger),
            "HOLD": str(self.hold),
            "SHORT_SECONDS": SHORT_SECONDS or "0",
            "PATIENCE": str(stretched(PATIENCE)),
        }

    def start_worker(self, pool):
        path = self.folder / f"worker-{len(self.processes)}.log"
        worker = self._start(path, "-m", "celery", "-A", "own_app", "worker", "-l", "info", *POOLS[pool])
        self.eventually(lambda: b" ready." in path.read_bytes(), 60)
        return worker, path

    def send(self, chords):
        """Start the process that sends the chords and waits for their results."""
        self.env["CHORDS"] = chords
        caller = self._start(self.folder / "results", str(HERE / "own_app.py"))
        self.eventually(lambda: "sent" in self.lines(), 60)
        return caller

    def results(self, caller):
        caller.wait(stretched(PATIENCE + 30))
        return json.loads((self.folder / "results").read_bytes())

    def run(self, script):
        """What a script of the folder prints, in a new process of Python's own."""
        command = (sys.executable, script)
        return subprocess.check_output(
            command, cwd=self.folder, env=self.env, text=True, timeout=stretched(60)
        )

    def lines(self):
        return self.ledger.read_text().splitlines()

    def noted(self, word):
        """How often each call did this."""
        return Counter(line.removeprefix(f"{word} ") for line in self.lines() if line.startswith(f"{word} "))

    def in_flight(self):
        return self.noted("begun") - self.noted("ended")

    def _start(self, path, *command):
        with path.open("wb") as out:
            process = preloaded.start(command, self.env, cwd=self.folder, stdout=out, stderr=out)
        self.processes.append(process)
        return process


@pytest.fixture(params=["redis", pytest.param("rabbitmq", marks=pytest.mark.rabbitmq)])
def shop(request, tmp_path, eventually, kill_group):
    rabbitmq = request.getfixturevalue("rabbitmq") if request.param == "rabbitmq" else None
    with Valkey(tcp=True) as server:
        shop = Shop(tmp_path, server.url, rabbitmq and rabbitmq.url_of(rabbitmq.new_host()), eventually)
        yield shop
        shop.hold.unlink(missing_ok=True)
        for process in shop.processes:
            kill_group(process)


@pytest.fixture
def kill_main(kill):
    """SIGKILL a worker's main process only; its children live on, and end by themselves."""

    def end(worker):
        children = children_of(worker.pid)
        worker.kill()
        worker.wait(stretched(10))
        return children

    return end


@pytest.mark.parametrize(
    ("pool", "whole"),
    [("threads", True), ("prefork", True), pytest.param("prefork", False, marks=pytest.mark.long)],
    ids=["threads", "prefork", "main"],
)
def test_chords_of_an_own_app_outlive_a_killed_worker(shop, kill_group, kill_main, pool, whole):
    doomed, log = shop.start_worker(pool)
    shop.hold.touch()
    caller = shop.send("three")
    shop.eventually(lambda: shop.in_flight().total() == 2, 60)
    (kill_group if whole else kill_main)(doomed)
    lost = shop.in_flight()
    if whole:
        shop.hold.unlink()
    shop.start_worker(pool)
    shop.hold.unlink(missing_ok=True)

    assert [10, 26, 42] == shop.results(caller)
    once = Counter(map(str, range(12))) + Counter(["[5, 6, 7, 8]"])
    assert shop.noted("begun") - once <= lost
    assert {"[1, 2, 3, 4]": 1, "[9, 10, 11, 12]": 1} == shop.noted("total")
    assert 1 == log.read_text().count("loses what it runs of total;")


def test_example_of_the_readme_prints_what_the_readme_says(shop):
    shop.start_worker("threads")

    printed = [shop.run("shop.py") for _ in range(2)]

    assert ["Admitted 5.42\n", "Hit 5.42\n"] == printed


@pytest.mark.long
@pytest.mark.parametrize("pool", POOLS)
def test_body_of_an_own_chord_outlives_a_killed_worker(shop, kill_group, pool):
    doomed, _ = shop.start_worker(pool)
    shop.hold.touch()
    caller = shop.send("one")
    body = "[1, 2, 3, 4]"
    shop.eventually(lambda: shop.in_flight() == {body: 1}, 60)
    kill_group(doomed)
    shop.hold.unlink()
    shop.start_worker(pool)

    assert [10] == shop.results(caller)
    assert {"0": 1, "1": 1, "2": 1, "3": 1, body: 2} == shop.noted("begun")
