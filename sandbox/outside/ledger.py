"""Records every call to each external service: one append-only JSONL file for each service.

A call has two lines. Between them it is in flight. If the server is killed, the second line is missing.

    begun ──> ended status=200 delivered=true     answered, and the client received the answer
          ├─> ended status=200 delivered=false    answered and paid, but the client had disconnected
          ├─> ended status>=400                   refused
          └─> ended status=499 delivered=false    the client had left before an answer was made

A background response ends when it is complete. It is delivered if the client received its id. Retrieving it
is not a call.
"""

import hashlib
import json
import os
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

Service = Literal["openai", "customers", "lookups"]

_FIRST_REFUSAL = 400


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceCalls:
    """The calls that one service received, and how they ended.

    Attributes:
        calls: Calls that arrived.
        answered: Calls with status 200, delivered or not: a provider bills these.
        refused: Calls with status 400 or above.
        undelivered: Calls, answered or refused, whose client disconnected before the answer.
        by_content: Answered calls for each content.
        input_tokens: Input tokens of the answered calls.
        output_tokens: Output tokens of the answered calls.
    """

    calls: int
    answered: int
    refused: int
    undelivered: int
    by_content: Counter[str]
    input_tokens: int
    output_tokens: int

    @property
    def in_flight(self) -> int:
        """Calls that have begun and not ended: they still run, or the server was killed."""
        return self.calls - self.answered - self.refused

    @property
    def surplus(self) -> int:
        """Answered calls after the first one of each content: paid for nothing."""
        return self.answered - len(self.by_content)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ledger:
    """Every call to every service at the time the folder was read."""

    openai: ServiceCalls
    customers: ServiceCalls
    lookups: ServiceCalls


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenCalls:
    """The calls that have begun and not ended, since the server started: now, and the most at any time.

    `most_open_since_reset` begins anew at each reset.
    """

    open: int
    most_open: int
    most_open_since_reset: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One call in flight. `nth` counts the calls with this content, from 1, since the server started."""

    number: int
    service: Service
    content: str
    nth: int


def read(folder: Path) -> Ledger:
    """Add up the ledger in `folder`; a service without a file was not called."""
    return Ledger(**{name: _add_up(folder / f"{name}.jsonl") for name in ("openai", "customers", "lookups")})


def content_of(*parts: str) -> str:
    """Return a digest of a request: 16 hex digits, equal for equal parts; it does not reveal their text."""
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:16]


class LedgerWriter:
    """Writes the file of one service and continues its numbers. A file has one writer at a time."""

    def __init__(self, folder: Path, service: Service, clock: Callable[[], float] = time.time) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"{service}.jsonl"
        self._service: Service = service
        self._clock = clock
        self._lock = threading.Lock()
        self._asked: Counter[str] = Counter()
        self._open, self._most_open, self._most_open_since_reset = 0, 0, 0
        self._last = max((int(str(line["call"])) for line in _lines(path)), default=0)
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o644)

    def begun(self, content: str) -> Call:
        """Record that a call arrived; return when the line is in the file."""
        with self._lock:
            self._last += 1
            self._asked[content] += 1
            call = Call(number=self._last, service=self._service, content=content, nth=self._asked[content])
            self._append("begun", call, {})
            self._open += 1
            self._most_open = max(self._most_open, self._open)
            self._most_open_since_reset = max(self._most_open_since_reset, self._open)
        return call

    def ended(
        self, call: Call, *, status: int, delivered: bool, input_tokens: int = 0, output_tokens: int = 0
    ) -> None:
        """Record how a call ended; return when the line is in the file."""
        outcome = {
            "status": status,
            "delivered": delivered,
            "input_tokens": input_tokens,
            "output_tokens": output_tokens,
        }
        with self._lock:
            self._append("ended", call, outcome)
            self._open -= 1

    @property
    def open_calls(self) -> OpenCalls:
        """The calls that have begun and not ended."""
        with self._lock:
            return OpenCalls(
                open=self._open,
                most_open=self._most_open,
                most_open_since_reset=self._most_open_since_reset,
            )

    def reset_most_open(self) -> None:
        """Count anew from now how many calls are open at most."""
        with self._lock:
            self._most_open_since_reset = self._open

    def _append(self, event: str, call: Call, outcome: dict[str, int]) -> None:
        line = {
            "event": event,
            "call": call.number,
            "service": call.service,
            "content": call.content,
            "at": self._clock(),
            **outcome,
        }
        # One write for each line: after a SIGKILL, and for a concurrent reader, every line is complete.
        os.write(self._file, json.dumps(line).encode() + b"\n")


def _add_up(path: Path) -> ServiceCalls:
    lines = list(_lines(path))
    ended = [line for line in lines if line["event"] == "ended"]
    answered = [line for line in ended if line["status"] == 200]  # noqa: PLR2004 # the HTTP status itself
    return ServiceCalls(
        calls=len(lines) - len(ended),
        answered=len(answered),
        refused=sum(_number(line, "status") >= _FIRST_REFUSAL for line in ended),
        undelivered=sum(line["delivered"] is False for line in ended),
        by_content=Counter(str(line["content"]) for line in answered),
        input_tokens=sum(_number(line, "input_tokens") for line in answered),
        output_tokens=sum(_number(line, "output_tokens") for line in answered),
    )


def _lines(path: Path) -> Iterator[dict[str, object]]:
    if not path.exists():
        return
    for line in path.read_text(encoding="utf-8").splitlines(keepends=True):
        # After a power failure the last line may be incomplete; it is not a call.
        if line.endswith("\n"):
            yield json.loads(line)


def _number(line: dict[str, object], field: str) -> int:
    return int(str(line[field]))
