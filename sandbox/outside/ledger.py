"""Proves how often each external service was called: one append-only JSONL file per service.

A call leaves two lines. Between them it is in flight; a server that was killed leaves only the first.

    begun ──> ended status=200 delivered=true     answered, the client has it
          ├─> ended status=200 delivered=false    answered and paid, but the client had gone away
          └─> ended status>=400                   refused

A response made in the background ends when it is made, delivered if its client heard its id; whoever looks
at it makes no call.
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

Service = Literal["openai", "customers"]

_FIRST_REFUSAL = 400


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceCalls:
    """What one service was asked, and how it ended.

    Attributes:
        calls: Calls that arrived, whatever became of them.
        answered: Calls answered with status 200, delivered or not: what a provider bills.
        refused: Calls answered with status 400 or above.
        undelivered: Calls, answered or refused, whose client had gone away before the answer.
        by_content: Answered calls per content.
        input_tokens: Tokens read by the answered calls.
        output_tokens: Tokens written by the answered calls.
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
        """Calls begun and never ended: still running, or cut off with the server."""
        return self.calls - self.answered - self.refused

    @property
    def surplus(self) -> int:
        """Answered calls beyond the first per content: what asking once would have saved."""
        return self.answered - len(self.by_content)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ledger:
    """Every call to every service, as one reading of the folder found it."""

    openai: ServiceCalls
    customers: ServiceCalls


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One call in flight. `nth` counts from 1 how often this content was asked of this writer."""

    number: int
    service: Service
    content: str
    nth: int


def read(folder: Path) -> Ledger:
    """Add up the ledger in `folder`; a missing file is a service that was never called."""
    return Ledger(openai=_add_up(folder / "openai.jsonl"), customers=_add_up(folder / "customers.jsonl"))


def content_of(*asked: str) -> str:
    """Digest what was asked: 16 hex digits, the same for the same parts, and nothing of their text."""
    return hashlib.sha256(json.dumps(asked).encode()).hexdigest()[:16]


class LedgerWriter:
    """Writes one service's file. Calls are numbered on from what the file holds; one writer per file."""

    def __init__(self, folder: Path, service: Service, clock: Callable[[], float] = time.time) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"{service}.jsonl"
        self._service: Service = service
        self._clock = clock
        self._lock = threading.Lock()
        self._asked: Counter[str] = Counter()
        self._last = max((int(str(line["call"])) for line in _lines(path)), default=0)
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o644)

    def begun(self, content: str) -> Call:
        """Record an arrival; returns once the line is in the file."""
        with self._lock:
            self._last += 1
            self._asked[content] += 1
            call = Call(number=self._last, service=self._service, content=content, nth=self._asked[content])
            self._append("begun", call, {})
        return call

    def ended(
        self, call: Call, *, status: int, delivered: bool, input_tokens: int = 0, output_tokens: int = 0
    ) -> None:
        """Record how a call ended; returns once the line is in the file."""
        outcome = {
            "status": status,
            "delivered": delivered,
            "input_tokens": input_tokens,
            "output_tokens": output_tokens,
        }
        with self._lock:
            self._append("ended", call, outcome)

    def _append(self, event: str, call: Call, outcome: dict[str, int]) -> None:
        line = {
            "event": event,
            "call": call.number,
            "service": call.service,
            "content": call.content,
            "at": self._clock(),
            **outcome,
        }
        # One write of one line: a SIGKILL leaves whole lines, and a reader at the same time sees whole lines.
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
        # A machine that lost power may leave half a line at the end; it is not a call.
        if line.endswith("\n"):
            yield json.loads(line)


def _number(line: dict[str, object], field: str) -> int:
    return int(str(line[field]))
