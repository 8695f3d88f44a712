"""Goes the way to an answer on an event loop: a few threads make its round trips, and no wait takes one."""

from __future__ import annotations

import asyncio
from concurrent.futures import Future, wait
from inspect import GEN_CLOSED, getgeneratorstate
from threading import Event as Signal
from threading import Lock, Thread
from typing import TYPE_CHECKING, Any, assert_never

from askonce.attempt import inside
from askonce.background import is_alive, start_thread
from askonce.functions.ask import outside
from askonce.functions.effects import Await, Lead, Make, MakeAlone, Rest, Verb
from askonce.functions.threads import raising

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable
    from concurrent.futures import Executor as Pool
    from contextvars import Context

    from askonce.events import Listener
    from askonce.functions.ask import Ask
    from askonce.functions.effects import Effect, Way

#: Seconds between two looks for loops that were closed with calls under way.
_LOOK = 0.5


class Loops:
    """Goes ways on the loops of one process."""

    def __init__(self, verbs: Callable[[], Pool], listen: Listener) -> None:
        """Make round trips in the pool that *verbs* returns."""
        self._verbs, self._listen = verbs, listen
        #: What is asked next of each key: those who come before it is sent share the reply.
        self._next: dict[Hashable, Future[Any]] = {}
        self._lock = Lock()
        #: The ways that others wait for. A loop keeps only a weak reference to its tasks.
        self._leads: dict[asyncio.Task[Any], Way] = {}
        #: Those of them that a thread is at, which notices by itself that its loop was closed.
        self._away = set[asyncio.Task[Any] | None]()
        self._watcher: Thread | None = None

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
                if getgeneratorstate(way) == GEN_CLOSED:  # by _watch: this task is only thrown away
                    return None
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
            case Lead(way=way, apart=apart):
                return self._lead(way, outside() if apart else None)
            case Await(future=future):
                return await done(future)
            case Rest(seconds=seconds):
                return await asyncio.sleep(seconds)
        assert_never(effect)

    def _lead(self, way: Way, context: Context | None) -> None:
        """Go *way* in a task of its own: its caller may be cancelled, and others wait for the same answer."""
        task = asyncio.get_running_loop().create_task(self.go(way), context=context)
        self._leads[task] = way
        task.add_done_callback(lambda ended: self._leads.pop(ended, None))
        with self._lock:
            if not is_alive(self._watcher):
                self._watcher = start_thread("askonce-loops", self._watch, self._listen)

    def _watch(self) -> None:
        """End the ways of closed loops, which tell nobody: their leases would be renewed for ever."""
        while True:
            Signal().wait(_LOOK)
            with self._lock:
                if not self._leads:
                    self._watcher = None
                    return
            for task in tuple(self._leads):
                is_ended = task.get_loop().is_closed() and task not in self._away
                way = self._leads.pop(task, None) if is_ended else None
                if way is not None:
                    way.close()

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
        loop, end, task = asyncio.get_running_loop(), Future[Any](), asyncio.current_task()
        self._away.add(task)
        end.add_done_callback(lambda _: self._away.discard(task))

        def on_loop() -> object:
            outcome = asyncio.run_coroutine_threadsafe(_outcome(ask), loop)
            while not wait([outcome], _LOOK).done:
                if loop.is_closed():
                    ask.is_shared = False
                    raise asyncio.CancelledError
            return outcome.result()()

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
