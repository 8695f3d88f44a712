import os
from pathlib import Path

import pytest
from redis import Redis

from askonce.answer import decode
from askonce.key import identify
from askonce.spec import JobSpec
from sandbox.valkey import Valkey
from tests import preloaded
from tests.deadlines import stretched
from tests.records import open_records

pytestmark = [pytest.mark.fault, pytest.mark.redis_broker("has a broker of its own")]

HERE, ROOT = Path(__file__).parent, Path(__file__).parents[2]
VERSIONS = ("1", "2")
ASK = """
import sys, rolling_app
for n in range(int(sys.argv[1])):
    rolling_app.ask.enqueue({"asked": rolling_app.VERSION, "n": n})
"""


class Deployment:
    """Producers and workers of two versions of one task, on one queue and one store."""

    def __init__(self, server, folder, eventually):
        self.server, self.folder, self.eventually = server, folder, eventually
        self.store = open_records(server.url, "rolling")
        self.workers = []

    def env(self, version):
        places = {"ROLLING_URL": self.server.url, "PYTHONPATH": f"{HERE}:{ROOT}"}
        return {**os.environ, **places, "ROLLING_VERSION": version}

    def start_worker(self, version):
        path = self.folder / f"worker-{version}.log"
        options = ("-P", "threads", "-c", "4", "--without-mingle", "-n", f"v{version}@test", "-l", "info")
        command = ("-m", "celery", "-A", "rolling_app", "worker", *options)
        with path.open("wb") as log:
            worker = preloaded.start(command, self.env(version), cwd=self.folder, stdout=log, stderr=log)
        self.workers.append(worker)
        self.eventually(lambda: b" ready." in path.read_bytes(), 60)
        return worker

    def ask(self, version, count):
        """Ask as a producer of this version, in a process of its own."""
        script, log = self.folder / "ask.py", self.folder / "ask.log"
        script.write_text(ASK)
        with log.open("wb") as out:
            asker = preloaded.start((script, count), self.env(version), stdout=out, stderr=out)
        assert 0 == asker.wait(stretched(60)), log.read_text()

    def answers(self, version, count):
        """Wait for what was asked, and ask for no more: the values, by number."""
        spec = JobSpec(name="ask", version=version)
        keys = [identify(spec, {"asked": version, "n": n}).key for n in range(count)]
        self.eventually(lambda: all(record.value for record in self.store.read(keys)), 60)
        return [decode(record.value.data) for record in self.store.read(keys)]

    def calls(self):
        with Redis.from_url(self.server.url, decode_responses=True) as client:
            return sorted(client.lrange("calls", 0, -1))


@pytest.fixture
def deployment(tmp_path, eventually, kill_group):
    with Valkey(tcp=True) as server:
        deployment = Deployment(server, tmp_path, eventually)
        yield deployment
        for worker in deployment.workers:
            kill_group(worker)
        deployment.store.close()


@pytest.mark.long
def test_two_versions_of_a_task_lose_and_mix_nothing(deployment):
    for version in VERSIONS:
        deployment.start_worker(version)

    for version in (*VERSIONS, *VERSIONS):
        deployment.ask(version, 20)

    for version in VERSIONS:
        assert [[version, n] for n in range(20)] == deployment.answers(version, 20)
    assert deployment.calls() == sorted(f"{v} by {v}: {n}" for v in VERSIONS for n in range(20))


@pytest.mark.long
def test_jobs_of_a_version_that_comes_later_wait_for_its_workers(deployment):
    old = deployment.start_worker("1")
    deployment.ask("2", 10)
    log = deployment.folder / "worker-1.log"
    deployment.eventually(lambda: log.read_text().count("another version of the task") >= 10, 30)

    deployment.start_worker("2")
    old.terminate()

    assert [["2", n] for n in range(10)] == deployment.answers("2", 10)
    assert deployment.calls() == sorted(f"2 by 2: {n}" for n in range(10))
    assert deployment.store.letters.dead_messages() == []
