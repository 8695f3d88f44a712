"""Workers of `queue_app` in processes of their own, and what they wrote down."""

import os
import sys
from collections import Counter
from pathlib import Path

from redis import Redis

from sandbox.machine import wait_for
from tests import preloaded
from tests.deadlines import stretched

HERE, ROOT = Path(__file__).parent, Path(__file__).parents[2]


class Stage:
    """A store, a broker, and workers; *queue* looks into a broker of another kind."""

    def __init__(self, server, broker_url, folder, eventually, queue=None):
        self.folder, self.eventually, self.workers = folder, eventually, []
        self._queue = queue
        settings = {
            "QUEUE_STORE_URL": preloaded.patient(server.url),
            "QUEUE_BROKER_URL": broker_url or server.url,
            # A message that is on its way for a second is not lost on a busy machine.
            "QUEUE_DEADLINE": str(stretched(1.0)),
        }
        self.env = {**os.environ, **settings, "PYTHONPATH": f"{HERE}:{ROOT}"}
        self.client = Redis.from_url(server.url, decode_responses=True)
        os.environ.update(settings)
        sys.path.insert(0, str(HERE))
        sys.modules.pop("queue_app", None)
        import queue_app

        self.app = queue_app

    def start_worker(self, *queues, pool="threads", slots=1, prefetch=1, include=()):
        number = len(self.workers)
        path = self.folder / f"worker-{number}.log"
        options = (
            "--without-mingle",
            "--without-gossip",
            "-P",
            pool,
            "-c",
            str(slots),
            f"--prefetch-multiplier={prefetch}",
            "-Q",
            ",".join(queues),
            *(("-I", ",".join(include)) if include else ()),
        )
        command = (
            "-m",
            "celery",
            "-A",
            "queue_app",
            "worker",
            "-n",
            f"w{number}@test",
            *options,
            "-l",
            "info",
        )
        with path.open("wb") as log:
            worker = preloaded.start(command, self.env, cwd=self.folder, stdout=log, stderr=log)
        self.workers.append(worker)
        wait_for(lambda: b" ready." in path.read_bytes(), worker, path, stretched(60))
        return worker

    def log_of(self, number):
        """Return what the worker of this number has logged."""
        return (self.folder / f"worker-{number}.log").read_text()

    def wait_for_log(self, number, text):
        self.eventually(lambda: text in self.log_of(number), 30)

    @property
    def store(self):
        return self.app.once.process().store

    @property
    def controls(self):
        return self.store.controls

    def enqueue(self, jobs):
        return [self.app.call.enqueue({"n": n}).handle for n in range(jobs)]

    def records(self, handles):
        return self.store.read([handle.key for handle in handles])

    def waiting(self):
        """Return how many messages no worker has taken."""
        return self._queue.waiting("slow") if self._queue else self.client.llen("slow")

    def calls(self):
        """Return the numbers that were called, in order."""
        return [int(n) for n in self.client.lrange("called", 0, -1)]

    def called(self):
        return Counter(self.calls())

    def received(self):
        return Counter(self.client.lrange("received", 0, -1))

    def answers(self, handles):
        return [handle.result(stretched(120)).value for handle in handles]

    def close(self):
        self.app.app.close()
        self.store.close()
        self.app.client.close()
        self.client.close()
