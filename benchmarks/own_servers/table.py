"""Prints one line for each question to a real server: what it replied, and what the project made of it."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from threading import Event
from typing import TYPE_CHECKING, Final

from benchmarks.own_servers.questions import ask

if TYPE_CHECKING:
    from collections.abc import Callable

    from benchmarks.own_servers.own import OwnServer
    from benchmarks.own_servers.questions import Question, Verdict
    from benchmarks.own_servers.tap import Tap

#: Seconds from the request to the middle of its answer.
MIDDLE: Final = 0.7
_SHOWN: Final = 3_000


class Table:
    """Asks one server. *behind* counts the calls that a proxy has made so far."""

    def __init__(
        self, server: OwnServer, tap: Tap, *, bodies: bool, behind: Callable[[], int] | None = None
    ) -> None:
        self._server, self._tap, self._bodies, self._behind = server, tap, bodies, behind
        self._made = 0

    def ask(self, question: Question, *, meanwhile: Callable[[], object] | None = None) -> None:
        """Ask, and act *meanwhile* when the request has reached the server."""
        self._begin()
        with ThreadPoolExecutor(1) as pool:
            asked = pool.submit(self._ask, question, self._tap.url)
            if meanwhile is not None and self._tap.wait_for_request(10.0):
                Event().wait(MIDDLE)
                meanwhile()
            self._print(question, asked.result())

    def ask_directly(self, question: Question) -> None:
        """Ask without the tap, which would accept a connection that the server refuses."""
        self._begin()
        self._print(question, self._ask(question, self._server.url.removesuffix("/v1")))

    def _begin(self) -> None:
        self._tap.clear()
        self._made = self._behind() if self._behind else 0

    def _ask(self, question: Question, url: str) -> Verdict:
        return ask(question, url=url, model=self._server.model, key=self._server.key)

    def _print(self, question: Question, verdict: Verdict) -> None:
        statuses = ",".join(map(str, self._tap.statuses())) or "none"
        calls = f"calls {len(self._tap.requests())}"
        if self._behind:
            calls += f", behind {self._behind() - self._made}"
        name = f"{self._server.name:<17}{question.form:<10}{question.asked:<30}"
        print(f"{name}{statuses:<9}{calls:<19}{verdict.seconds:>5.1f} s  {verdict.words}", flush=True)
        if self._bodies:
            for reply in self._tap.replies():
                print("    | " + reply[:_SHOWN].replace("\r\n", "\n").replace("\n", "\n    | "), flush=True)
