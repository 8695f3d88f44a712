"""What the way to an answer needs of its caller: a thread that may wait, or a loop that may not.

``answering.py`` decides what comes next and yields these. ``threads.py`` and ``loops.py`` do them.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from concurrent.futures import Future

    from askonce.attempt import Attempt
    from askonce.functions.ask import Ask

#: Yields effects, and is sent what each of them returned.
Way = Generator["Effect", Any, Any]


@dataclass(frozen=True, slots=True)
class Verb:
    """A few round trips: bounded by the timeouts of the store."""

    call: Callable[[], object]
    #: Callers on one loop that ask the same at once, before it is sent, may share the reply.
    same: tuple[str, str] | None = None


@dataclass(frozen=True, slots=True)
class Make:
    """Call the function of *ask*, as *attempt*; return a function that returns or raises what it did."""

    ask: Ask
    attempt: Attempt


@dataclass(frozen=True, slots=True)
class MakeAlone:
    """Do *call*, which gets a body that calls the function of *ask*, and may never use it."""

    ask: Ask
    call: Callable[[Callable[[], object]], object]


@dataclass(frozen=True, slots=True)
class Lead:
    """Go a way that others wait for too: to its end, or, beside its caller, with *apart*."""

    way: Way
    #: What the way brings.
    end: Future[Any]
    apart: bool = False


@dataclass(frozen=True, slots=True)
class Await:
    """Wait until *future* is done; return its result, or raise its exception."""

    future: Future[Any]


@dataclass(frozen=True, slots=True)
class Rest:
    """Wait for so many seconds."""

    seconds: float


Effect = Verb | Make | MakeAlone | Lead | Await | Rest
