"""``python -m benchmarks.house``: how far a reader has to jump to follow one job through askonce.

It traces four paths through askonce's own modules and counts for each of them:

- the modules that take part,
- the moves between them: a call into another module is one move, and its return is one move,
- the moves that go back to a module where the reader has been before.

Vendor code between two modules of askonce does not count. Constructors that a dataclass generates do not
count: they have no text to read. Other threads do not count.
"""

from __future__ import annotations

import sys
from functools import partial
from threading import Event
from typing import TYPE_CHECKING, Any

from celery import Celery
from celery.contrib.testing.worker import start_worker

from askonce import JobSpec
from askonce.adapters.celery import AskOnce, IdempotentTask
from askonce.adapters.redis import RedisStore
from askonce.events import ignore
from askonce.key import identify
from sandbox.valkey import Valkey

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType

SECONDS = 20.0


class Walk:
    """Counts the modules that the code in its block visits, and the calls from one module to another."""

    def __init__(self, path: str) -> None:
        self.path = path
        self.modules: set[str] = set()
        self.calls = 0

    def __enter__(self) -> None:
        sys.setprofile(self._see)

    def __exit__(self, *_: object) -> None:
        sys.setprofile(None)

    def __str__(self) -> str:
        moves = 2 * self.calls
        # A move to a new module is no return; the reader starts in one of the modules.
        returns = moves - (len(self.modules) - 1)
        return f"{self.path:<18}{len(self.modules):>8} {moves:>8} {returns:>8}"

    def _see(self, frame: FrameType, event: str, _: object) -> None:
        module = _module_of(frame)
        if event != "call" or not module:
            return
        self.modules.add(module)
        caller = frame.f_back
        while caller is not None and not _module_of(caller):
            caller = caller.f_back
        if caller is not None and _module_of(caller) != module:
            self.calls += 1


def _module_of(frame: FrameType) -> str:
    """Return the module of askonce that *frame* runs, "" for any other code."""
    name = str(frame.f_globals.get("__name__", ""))
    generated = frame.f_code.co_filename == "<string>"
    return name if name.partition(".")[0] == "askonce" and not generated else ""


class Walked(IdempotentTask):
    """A task that traces how a worker runs it; *walk* is the trace of its last run."""

    abstract = True
    walk = Walk("")
    ended = Event()

    def __call__(self, *args: object, **kwargs: object) -> object:
        Walked.walk = Walk("a worker runs it")
        try:
            with self.walk:
                return super().__call__(*args, **kwargs)
        finally:
            self.ended.set()


class Paths:
    """An app with one task, and the four paths through it."""

    def __init__(self, url: str) -> None:
        self.app = Celery("house", broker=url, set_as_current=False)
        self.app.conf.update(broker_connection_retry_on_startup=True, worker_hijack_root_logger=False)
        # No listener: what one does with an event is not on the path.
        new_store = partial(RedisStore.from_url, url, namespace="house")
        self.once = AskOnce(self.app, store=new_store, listen=ignore)
        register = self.app.task(name="double", base=Walked, spec=JobSpec(), shared=False)
        self.task = register(double)

    def walk(self, number: int) -> list[Walk]:
        """Follow the payload *number* down each path; a worker must be running."""
        Walked.ended.clear()
        enqueued, outcome = _walk("new job", lambda: self.task.enqueue({"number": number}))
        assert Walked.ended.wait(SECONDS), "the worker did not run the job"
        answered, result = _walk("result", lambda: outcome.result(SECONDS))
        assert result.value == 2 * number
        spec, caller = self.task.job_spec, self.once.process().caller
        job = identify(spec, {"number": -number})
        inline, _ = _walk(
            "inline miss", lambda: caller.call(spec, job, lambda: double(-number), timeout=SECONDS)
        )
        return [enqueued, Walked.walk, answered, inline]


def _walk(path: str, call: Callable[[], Any]) -> tuple[Walk, Any]:
    walk = Walk(path)
    with walk:
        returned = call()
    return walk, returned


def double(number: int) -> int:
    return 2 * number


def main() -> None:
    with Valkey(tcp=True) as valkey:
        paths = Paths(valkey.url)
        worker = start_worker(
            paths.app, pool="threads", concurrency=1, perform_ping_check=False, loglevel="ERROR"
        )
        with worker:
            # The first walk builds what a process keeps: connections, scripts and the template of messages.
            paths.walk(1)
            walks = paths.walk(2)
    print(f"{'path':<18}{'modules':>8} {'moves':>8} {'returns':>8}")
    for walk in walks:
        print(walk)


if __name__ == "__main__":
    main()
