"""The types of cached functions: what a type checker sees of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Concatenate, ParamSpec, Protocol, TypeVar, overload

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine

    from askonce.answer import Result
    from askonce.job import Key

P = ParamSpec("P")
_P2 = ParamSpec("_P2")
_R = TypeVar("_R")
_SelfT = TypeVar("_SelfT")


class CachedFunction(Protocol[P, _R]):
    """A cached function. For a method, call ``invalidate`` and such on the class, with the object first."""

    __name__: str
    __qualname__: str
    #: Calls the function itself: nothing is looked up, and nothing kept.
    __wrapped__: Callable[P, _R]

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> _R:
        """Return the kept answer, or call the function; each caller gets an object of its own.

        Raises:
            Exception: what the function raised.
            PayloadInvalid: an argument cannot be part of a key.
            ValueInvalid: the function returned something without a JSON form.
            StoreUnavailable: the store is away, and so many calls were made without it that no more may be.
            Postponed: a pause holds the call back: ``reason`` is ``paused``, ``note`` that of the pause.
        """

    @overload
    def __get__(self, instance: None, owner: type) -> CachedFunction[P, _R]: ...

    @overload
    def __get__(
        self: CachedFunction[Concatenate[_SelfT, _P2], _R], instance: _SelfT, owner: type | None = None
    ) -> Callable[_P2, _R]: ...

    def invalidate(self, *args: P.args, **kwargs: P.kwargs) -> bool:
        """Forget the answer for these arguments; return False where their key has no record.

        Raises:
            StoreUnavailable: the store did not answer.
        """

    def refresh(self, *args: P.args, **kwargs: P.kwargs) -> _R:
        """Call the function although an answer is fresh, keep what it returns, and return it.

        A run that is under way is waited for instead. Raises as a call does.
        """

    def cache_key(self, *args: P.args, **kwargs: P.kwargs) -> Key:
        """Return the key of the answer for these arguments."""

    def last(self) -> Result | None:
        """Return the last answer of this function in this thread or task, with its source and age."""


class CachedCoroutineFunction(Protocol[P, _R]):
    """A cached async function; see ``CachedFunction``."""

    __name__: str
    __qualname__: str
    __wrapped__: Callable[P, Coroutine[Any, Any, _R]]

    async def __call__(self, *args: P.args, **kwargs: P.kwargs) -> _R:
        """Return the kept answer, or call the function on this loop; errors as of a ``CachedFunction``.

        A caller that is cancelled stops no call: others may wait for it, and its answer is kept.
        """

    @overload
    def __get__(self, instance: None, owner: type) -> CachedCoroutineFunction[P, _R]: ...

    @overload
    def __get__(
        self: CachedCoroutineFunction[Concatenate[_SelfT, _P2], _R],
        instance: _SelfT,
        owner: type | None = None,
    ) -> Callable[_P2, Coroutine[Any, Any, _R]]: ...

    async def invalidate(self, *args: P.args, **kwargs: P.kwargs) -> bool:
        """Forget the answer for these arguments; return False where their key has no record."""

    async def refresh(self, *args: P.args, **kwargs: P.kwargs) -> _R:
        """Call the function although an answer is fresh, keep what it returns, and return it."""

    def cache_key(self, *args: P.args, **kwargs: P.kwargs) -> Key:
        """Return the key of the answer for these arguments."""

    def last(self) -> Result | None:
        """Return the last answer of this function in this task, with its source and age."""


class Decorator(Protocol):
    """Makes a function a cached one, async or not."""

    @overload
    def __call__(  # type: ignore[overload-overlap]  # a coroutine is an object too: the first one that fits counts
        self, function: Callable[P, Coroutine[Any, Any, _R]], /
    ) -> CachedCoroutineFunction[P, _R]: ...

    @overload
    def __call__(self, function: Callable[P, _R], /) -> CachedFunction[P, _R]: ...
