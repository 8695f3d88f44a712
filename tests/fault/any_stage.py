"""A worker of `any_app` in a process of its own, and what became of its messages."""

import os
from contextlib import contextmanager
from pathlib import Path

from redis import Redis

from tests import preloaded
from tests.any_message import item_of
from tests.deadlines import eventually, stretched

HERE, ROOT = Path(__file__).parent, Path(__file__).parents[2]


class Stage:
    """Sends items as kombu writes them into a list."""

    def __init__(self, store_url, folder, env):
        self.client = Redis.from_url(store_url, decode_responses=True)
        self._log, self._logged = folder / "worker.log", 0
        self._env = {**os.environ, "ANY_STORE_URL": store_url, "PYTHONPATH": f"{HERE}:{ROOT}", **env}

    @contextmanager
    def worker(self, pool):
        options = "--without-mingle", "--without-gossip", "-P", pool, "-c", "2", "-l", "info"
        command = "-m", "celery", "-A", "any_app", "worker", *options
        with self._log.open("wb") as log:
            self._worker = preloaded.start(command, self._env, stdout=log, stderr=log)
        try:
            eventually(lambda: b" ready." in self._log.read_bytes(), 60)
            yield self
        finally:
            self._worker.terminate()
            self._worker.wait(stretched(20))
            self.client.close()

    def send(self, *items):
        """Send *items*; return how many were sent."""
        self.client.lpush("any", *items)
        return len(items)

    @staticmethod
    def job():
        """Return the message of a job as it should be."""
        return item_of(())

    def log(self):
        """Return what the worker has logged since the last call of `end`."""
        return self._log.read_bytes()[self._logged :].decode(errors="replace")

    def outcomes(self):
        """Return how messages ended: as dead letters, or as their tasks did."""
        return [word for name in ("kept", "ended") for word in self.client.lrange(name, 0, -1)]

    def is_settled(self, number):
        assert self._worker.poll() is None, self.log()[-3000:]
        return len(self.outcomes()) >= number and not self.client.exists("any", "unacked")

    def end(self, *items, calling=False):
        """Send *items*, and a job; return how they ended when each has ended, and the worker holds none.

        *calling*: they have links, whose own messages may end here too.
        """
        self.client.delete("kept", "ended")
        self._logged = self._log.stat().st_size
        sent = self.send(self.job(), *items)
        eventually(lambda: self.is_settled(sent), 20)
        outcomes = self.outcomes()
        assert calling or sent == len(outcomes)
        assert calling or {word for word in outcomes if "." not in word} <= {"add", "linked", "kept", "plain"}
        outcomes.remove("add")
        return outcomes
