"""Makes blocking calls for asynchronous callers: in a few threads, each in its turn."""

from __future__ import annotations

import os
from concurrent.futures import Future
from contextvars import copy_context
from functools import cache, partial
from typing import TYPE_CHECKING, Final, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import ThreadPoolExecutor

_T = TypeVar("_T")
#: Each makes one round trip; a process sends no more commands to its store at once (``adapters.redis.link``).
_AT_ONCE: Final = 16


async def off_loop(call: Callable[[], _T]) -> _T:
    """Return what *call* returns, or raise what it raises; a thread of this process makes it.

    The caller's context variables are the call's too. To cancel this ends the wait; the call is made.
    """
    from asyncio import wrap_future

    # One that is pending until the call is over: to cancel it reaches no call, and no loop that has closed.
    answer: Future[_T] = Future()
    made = _threads().submit(copy_context().run, call)
    made.add_done_callback(partial(_pass_on, answer))
    return await wrap_future(answer)


def _pass_on(answer: Future[_T], made: Future[_T]) -> None:
    if not answer.set_running_or_notify_cancel():
        return
    error = made.exception()
    if error is None:
        answer.set_result(made.result())
    else:
        answer.set_exception(error)


@cache
def _threads() -> ThreadPoolExecutor:
    from concurrent.futures import ThreadPoolExecutor

    return ThreadPoolExecutor(_AT_ONCE, thread_name_prefix="askonce-off-loop")


# A child has none of its parent's threads.
os.register_at_fork(after_in_child=_threads.cache_clear)
