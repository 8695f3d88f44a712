import importlib
import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest
from redis import Redis

from askonce.controls import Mark
from askonce.store import Write
from sandbox.valkey import Valkey
from tests import preloaded
from tests.deadlines import eventually, stretched

pytestmark = pytest.mark.fault


@pytest.mark.parametrize("pool", ["prefork", "threads"])
def test_answer_of_a_run_that_was_invalidated_is_not_published(scene, pool):
    scene.machine.start_worker("-P", pool, "-c", "1")
    scene.machine.control(hold=True)
    [meeting] = scene.meetings(1)
    [key] = scene.submit("meetings.extract", [meeting])
    assert scene.machine.wait_for_held(1, stretched(30))

    assert Write.OK is scene.store.invalidate(key)
    scene.let_go()
    scene.eventually(lambda: "job.fenced" in scene.log("worker"), 30)
    after = scene.record(key)
    scene.submit("meetings.extract", [meeting])
    scene.wait_until_done([key])

    assert ("idle", None, None) == (after.flight, after.value, after.failure)
    assert after.fence < scene.record(key).value.fence
    assert 2 == scene.machine.ledger.openai.calls


HERE, ROOT = Path(__file__).parent, Path(__file__).parents[2]
PRICES, READERS, PROCESSES = 50, 100, 2


class Marked:
    """The app with its own server, a worker, and readers in processes of their own."""

    def __init__(self, url, folder):
        self.client = Redis.from_url(url, decode_responses=True)
        self.client.set("edition", 1)
        self.folder, self.started = folder, []
        self.env = {**os.environ, "MARKED_URL": url, "PYTHONPATH": f"{HERE}:{ROOT}"}
        sys.modules.pop("marked_app", None)
        self.app = importlib.import_module("marked_app")
        self.store = self.app.once.process().store

    def start_worker(self):
        options = "-P", "threads", "-c", str(3 * PRICES), "-l", "info"
        log = self.folder / "worker.log"
        with log.open("wb") as file:
            command = "-m", "celery", "-A", "marked_app", "worker", *options
            self.started.append(preloaded.start(command, self.env, stdout=file, stderr=file))
        eventually(lambda: b" ready." in log.read_bytes(), 60)

    def start_readers(self):
        command = sys.executable, HERE / "marked_readers.py", str(READERS), str(PRICES)
        readers = [
            subprocess.Popen(command, env=self.env, stdout=subprocess.PIPE, text=True)
            for _ in range(PROCESSES)
        ]
        self.started += readers
        return readers

    def ask(self, prices):
        return [self.app.fetch.enqueue({"number": number}) for number in prices]

    def count(self, name):
        return int(self.client.get(name) or 0)

    def close(self):
        for process in self.started:
            process.kill()
            process.wait()
        self.client.close()


@pytest.fixture
def marked(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(str(HERE))
    with Valkey(tcp=True) as server:
        monkeypatch.setenv("MARKED_URL", server.url)
        marked = Marked(server.url, tmp_path)
        yield marked
        marked.close()


@pytest.mark.long
@pytest.mark.redis_broker("starts an app of its own")
def test_no_reader_gets_an_old_answer_after_the_mark(marked):
    marked.start_worker()
    marked.ask(range(PRICES))
    eventually(lambda: PRICES == marked.client.llen("began"), 60)
    readers = marked.start_readers()
    eventually(lambda: PROCESSES * READERS == marked.count("asked"), 60)

    marked.client.set("edition", 2)
    marked.store.controls.mark(Mark("task", "prices.fetch"))
    marked.client.set("marked", 1)
    # Of half of the prices callers of now ask first, of the others those who waited.
    fresh = [each.result(stretched(60)).value for each in marked.ask(range(PRICES // 2))]
    marked.client.rpush("gate", *range(PRICES))
    eventually(lambda: marked.count("asked") >= 10 * PROCESSES * READERS, 60)
    marked.client.set("stop", 1)
    got = sum(
        (Counter(json.loads(each.communicate(timeout=stretched(60))[0])) for each in readers), Counter()
    )

    assert [2] * (PRICES // 2) == fresh
    assert {"before 2": PROCESSES * READERS} == {name: got[name] for name in got if name != "after 2"}
    assert got["after 2"] >= 9 * PROCESSES * READERS
    assert 2 * PRICES == marked.client.llen("began")
    assert PRICES == (marked.folder / "worker.log").read_text().count("job.fenced")
