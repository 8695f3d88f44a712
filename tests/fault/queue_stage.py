"""Workers of `queue_app` in processes of their own, and what they wrote down."""

import os
import sys
from collections import Counter
from pathlib import Path

from redis import Redis

from tests import preloaded
from tests.deadlines import stretched

HERE, ROOT = Path(__file__).parent, Path(__file__).parents[2]


class Stage:
    """A store, a broker, and workers."""

    def __init__(self, server, broker_url, folder, eventually):
        self.folder, self.eventually, self.workers = folder, eventually, []
        urls = {"QUEUE_STORE_URL": server.url, "QUEUE_BROKER_URL": broker_url or server.url}
        self.env = {**os.environ, **urls, "PYTHONPATH": f"{HERE}:{ROOT}"}
        self.client = Redis.from_url(server.url, decode_responses=True)
        os.environ.update(urls)
        sys.path.insert(0, str(HERE))
        sys.modules.pop("queue_app", None)
        import queue_app

        self.app = queue_app

    def start_worker(self, *queues, pool="threads", slots=1, prefetch=1):
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
        self.eventually(lambda: b" ready." in path.read_bytes(), 60)
        return worker

    def log_of(self, number):
        """Return what the worker of this number has logged."""
        return (self.folder / f"worker-{number}.log").read_text()

    def called(self):
        return Counter(map(int, self.client.lrange("called", 0, -1)))

    def received(self):
        return Counter(self.client.lrange("received", 0, -1))

    def answers(self, handles):
        return [handle.result(stretched(120)).value for handle in handles]

    def close(self):
        self.app.app.close()
        self.app.once.process().store.close()
        self.app.client.close()
        self.client.close()
