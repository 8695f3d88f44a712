"""Goes the way to an answer on an event loop: a few threads make its round trips, and no wait takes one."""

from __future__ import annotations

import asyncio
from concurrent.futures import Future
from threading import Lock, Thread
from typing import TYPE_CHECKING, Any, assert_never

from askonce.attempt import inside
from askonce.functions.effects import Await, Lead, Make, MakeAlone, Rest, Verb
from askonce.functions.threads import raising

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable
    from concurrent.futures import Executor as Pool

    from askonce.functions.ask import Ask
    from askonce.functions.effects import Effect, Way


class Loops:
    """Goes ways on the loops of one process."""

    def __init__(self, verbs: Callable[[], Pool]) -> None:
        """Make round trips in the pool that *verbs* returns."""
        self._verbs = verbs
        #: What is asked next of each key: those who come before it is sent share the reply.
        self._next: dict[Hashable, Future[Any]] = {}
        self._lock = Lock()
        #: A loop keeps only a weak reference to its tasks.
        self._tasks = set[asyncio.Task[Any]]()

    async def go(self, way: Way) -> Any:  # noqa: ANN401  # what the way returns
        """Go *way* to its end; return what it returns, or raise what it raises."""
        step, argument = way.send, None
        while True:
            try:
                effect = step(argument)
            except StopIteration as end:
                return end.value
            try:
                argument, step = await self._do(effect), way.send
            except BaseException as error:  # noqa: BLE001  # the way decides
                argument, step = error, way.throw

    async def _do(self, effect: Effect) -> Any:  # noqa: ANN401
        match effect:
            case Verb(call=call, same=same):
                return await done(self.ask(call, same))
            case Make(ask=ask, attempt=attempt):
                with inside(attempt):
                    return await _outcome(ask)
            case MakeAlone(ask=ask, call=call_with):
                return await done(self._alone(ask, call_with))
            case Lead(way=way):
                # A task of its own: its first caller may be cancelled, and others wait for the same answer.
                task = asyncio.get_running_loop().create_task(self.go(way))
                self._tasks.add(task)
                task.add_done_callback(self._tasks.discard)
                return None
            case Await(future=future):
                return await done(future)
            case Rest(seconds=seconds):
                return await asyncio.sleep(seconds)
        assert_never(effect)

    def ask(self, call: Callable[[], object], same: Hashable = None) -> Future[Any]:
        """Make a round trip in a thread; of those that ask the *same* before it is sent, only one."""
        if same is None:
            return self._verbs().submit(call)
        with self._lock:
            asked = self._next.get(same)
            if asked is not None:
                return asked
            asked = self._next[same] = Future()
        self._verbs().submit(self._send, call, same, asked)
        return asked

    def _send(self, call: Callable[[], object], same: Hashable, asked: Future[Any]) -> None:
        # Whoever asks from here on may have seen something that this reply does not know of.
        with self._lock:
            del self._next[same]
        try:
            asked.set_result(call())
        except BaseException as error:  # noqa: BLE001  # those who asked get it
            asked.set_exception(error)

    def _alone(self, ask: Ask, call_with: Callable[[Callable[[], object]], object]) -> Future[Any]:
        """Do *call_with* in a thread of its own, which the budget for calls without the store bounds.

        In the pool it could wait for a call that waits for the pool.
        """
        loop, end = asyncio.get_running_loop(), Future[Any]()

        def on_loop() -> object:
            return asyncio.run_coroutine_threadsafe(_outcome(ask), loop).result()()

        def run() -> None:
            try:
                end.set_result(call_with(ask.body(on_loop)))
            except BaseException as error:  # noqa: BLE001  # the caller gets it
                end.set_exception(error)

        Thread(target=run, name="askonce-alone", daemon=True).start()
        return end


async def done(future: Future[Any]) -> Any:  # noqa: ANN401  # what it returns
    """Wait for *future*, which others share: a caller that is cancelled does not cancel it."""
    return await asyncio.shield(asyncio.wrap_future(future))


async def _outcome(ask: Ask) -> Callable[[], object]:
    """Call the function; return what returns its value, or raises its error."""
    try:
        with ask.inside():
            value = await ask.call()
    except BaseException as error:  # noqa: BLE001  # its caller gets it
        # This task is nobody's own: only that the loop ends it concerns no caller.
        ask.is_shared = not (isinstance(error, asyncio.CancelledError) and _is_cancelled())
        return raising(error)
    return lambda: value


def _is_cancelled() -> bool:
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0
