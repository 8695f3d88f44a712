"""Goes the way to an answer in the caller's own thread."""

from __future__ import annotations

from functools import partial
from threading import Event as Signal
from typing import TYPE_CHECKING, Any, assert_never

from askonce.attempt import inside
from askonce.functions.ask import outside
from askonce.functions.effects import Await, Lead, Make, MakeAlone, Rest, Verb

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Future, ThreadPoolExecutor

    from askonce.functions.ask import Ask
    from askonce.functions.effects import Effect, Way


class Threads:
    """Goes ways in threads; refreshes of stale answers go into a pool."""

    def __init__(self, refreshes: Callable[[], ThreadPoolExecutor]) -> None:
        """Go ways apart in the pool that *refreshes* returns."""
        self._refreshes = refreshes
        #: What no thread of the pool is free for. Who waits for its end goes it: the threads may wait too.
        self._queued: dict[Future[Any], Way] = {}

    def go(self, way: Way) -> Any:  # noqa: ANN401  # what the way returns
        """Go *way* to its end; return what it returns, or raise what it raises."""
        step, argument = way.send, None
        while True:
            try:
                effect = step(argument)
            except StopIteration as end:
                return end.value
            try:
                argument, step = self._do(effect), way.send
            except BaseException as error:  # noqa: BLE001  # the way decides
                argument, step = error, way.throw

    def _do(self, effect: Effect) -> Any:  # noqa: ANN401
        match effect:
            case Verb(call=call):
                return call()
            case Make(ask=ask, attempt=attempt):
                with inside(attempt):
                    return _outcome(ask)
            case MakeAlone(ask=ask, call=call_with):
                return call_with(ask.body(partial(_called, ask)))
            case Lead(way=way, end=end, apart=True):
                self._queued[end] = way
                return self._refreshes().submit(outside().run, self._go_queued, end)
            case Lead(way=way):
                return self.go(way)
            case Await(future=future):
                self._go_queued(future)
                return future.result()
            case Rest(seconds=seconds):
                return Signal().wait(seconds)
        assert_never(effect)

    def _go_queued(self, end: Future[Any]) -> None:
        """Go the way to *end*, unless another thread does."""
        way = self._queued.pop(end, None)
        if way is not None:
            self.go(way)


def _outcome(ask: Ask) -> Callable[[], object]:
    """Call the function; return what returns its value, or raises its error."""
    try:
        with ask.inside():
            value = ask.call()
    except BaseException as error:  # noqa: BLE001  # its caller gets it
        ask.is_shared = isinstance(error, Exception)
        return raising(error)
    return lambda: value


def _called(ask: Ask) -> object:
    return _outcome(ask)()


def raising(error: BaseException) -> Callable[[], object]:
    """Return a function that raises *error*."""

    def fail() -> object:
        raise error

    return fail
