"""One call of a cached function, and what came of calling the function itself."""

from __future__ import annotations

from contextlib import contextmanager
from contextvars import Context, ContextVar, copy_context
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from askonce.answer import Answer
from askonce.attempt import place_of
from askonce.errors import CallFailed, Transient, ValueInvalid

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from askonce.answer import Codec
    from askonce.functions.found import Found
    from askonce.job import Job, Key
    from askonce.spec import JobSpec

#: The keys whose functions run around this code.
_inside: ContextVar[frozenset[Key]] = ContextVar("askonce_functions_inside", default=frozenset())


def outside() -> Context:
    """Return this context for a call that nobody here waits for."""
    context = copy_context()
    context.run(_inside.set, frozenset())
    return context


@dataclass(slots=True)
class Ask:
    """One call: its job, its terms, and the function with the caller's own arguments."""

    #: Names the function in errors.
    name: str
    spec: JobSpec
    job: Job
    #: Calls the function; of an async function, it returns the coroutine.
    call: Callable[[], Any]
    codec: Codec
    #: That of this process's answers when the call began.
    epoch: int = 0
    #: Make a new answer although one is fresh.
    force: bool = False
    #: Call although another call has failed: no failure answers a function's caller, whoever kept it.
    retry: bool = field(default=False, init=False)
    #: What the function raised, and what it returned, encoded.
    raised: BaseException | None = field(default=None, init=False)
    data: bytes = field(default=b"", init=False)
    #: The answer of this very call, which the store refused: it is its caller's alone.
    own: Found | None = field(default=None, init=False)
    #: Those who wait for this call share what it raised.
    is_shared: bool = field(default=True, init=False)

    def check_outside(self) -> None:
        """Refuse a function that waits for itself.

        Raises:
            RecursionError: this very call is made inside of the function's run for the same arguments.
        """
        if self.job.key in _inside.get():
            raise RecursionError(f"{self.name} was called with the same arguments while it ran for them")

    @contextmanager
    def inside(self) -> Iterator[None]:
        """Note that the function runs in this context."""
        token = _inside.set(_inside.get() | {self.job.key})
        try:
            yield
        finally:
            _inside.reset(token)

    def body(self, returned: Callable[[], object]) -> Callable[[], object]:
        """Return a task body of what the function *returned* or raised: a failure ends its job at once.

        What it raises is noted, and is its caller's. The record gets only the error's name and place.
        """

        def made() -> object:
            try:
                value = returned()
                bare = value.value if isinstance(value, Answer) else value
                self.data = self.codec.encode(bare, self.spec.max_value_bytes)
            except BaseException as error:
                self.raised = self._named(error)
                raise _as_attempt(error) from error
            return value

        return made

    def _named(self, error: BaseException) -> BaseException:
        if not isinstance(error, ValueInvalid):
            return error
        return ValueInvalid({**error.data, "function": self.name})


def _as_attempt(error: BaseException) -> Transient:
    """Return a failure that is the job's last attempt and is kept for nobody."""
    if isinstance(error, CallFailed):
        return Transient({**error.data, "max_attempts": 1})
    reason = f"{type(error).__name__}@{place_of(error)}"
    return Transient(reason, maybe_billed=True, max_attempts=1)
