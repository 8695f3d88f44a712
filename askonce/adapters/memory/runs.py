"""Keeps run records of the store in memory."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from askonce.runs import (
    NAME_KEPT,
    RUN_KEPT,
    RUNS_KEPT,
    Fact,
    Hold,
    RunRecord,
    RunState,
    decode_record,
    encode_facts,
    require_hold,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from threading import Condition


@dataclass(slots=True)
class _Kept:
    holder: str
    task: str
    started: float
    updated: float = 0.0
    ends: float = 0.0
    state: RunState = "running"
    stop: str = ""
    facts: bytes = b"{}"


class MemoryRuns:
    """The run records of one store, behind its lock."""

    def __init__(self, changed: Condition, now: Callable[[], float]) -> None:
        """Begin without any."""
        self._changed, self._now = changed, now
        self._kept: dict[str, _Kept] = {}

    def hold(self, name: str, holder: str, ttl: float, task: str, facts: Mapping[str, Fact]) -> Hold:
        """Claim the run of this name for *ttl* seconds, or renew the claim, and describe the run."""
        require_hold(name, holder, ttl, task)
        encoded = encode_facts(facts)
        with self._changed:
            now, kept = self._now(), self._kept.get(name)
            alive = kept is not None and now < kept.ends
            if kept is not None and alive and kept.holder != holder:
                return Hold(taken=False, holder=kept.holder, seconds=round(kept.ends - now, 3))
            if kept is None or not alive:
                kept = _Kept(holder, task, now)
            kept.task, kept.facts, kept.updated, kept.ends = task, encoded, now, now + ttl
            self._keep(name, kept)
            return Hold(taken=True, holder=holder, seconds=ttl, stop=kept.stop)

    def _keep(self, name: str, kept: _Kept) -> None:
        self._kept[name] = kept
        newest = sorted(self._kept, key=lambda each: (self._kept[each].updated, each))[-RUNS_KEPT:]
        over = self._now() - RUN_KEPT
        self._kept = {each: self._kept[each] for each in newest if self._kept[each].updated > over}

    def release(self, name: str, holder: str, state: RunState, facts: Mapping[str, Fact]) -> bool:
        """End the run and keep its record."""
        encoded = encode_facts(facts)
        with self._changed:
            kept = self._kept.get(name)
            if kept is None or kept.holder != holder:
                return False
            kept.state, kept.facts, kept.updated, kept.ends = state, encoded, self._now(), 0.0
            self._keep(name, kept)
            return True

    def ask_to_stop(self, name: str, why: str) -> bool:
        """Ask the run's producer to stop."""
        with self._changed:
            kept = self._kept.get(name)
            if kept is None or self._now() >= kept.ends:
                return False
            kept.stop = why[:NAME_KEPT] or "stopped"
            return True

    def get(self, name: str) -> RunRecord | None:
        """Return the record of one run."""
        with self._changed:
            kept = self._kept.get(name)
            return None if kept is None else self._show(name, kept)

    def list(self) -> list[RunRecord]:
        """Return the records, the last changed first."""
        with self._changed:
            newest = sorted(self._kept.items(), key=lambda one: (one[1].updated, one[0]), reverse=True)
            return [shown for name, kept in newest if (shown := self._show(name, kept)) is not None]

    def _show(self, name: str, kept: _Kept) -> RunRecord | None:
        if kept.updated + RUN_KEPT <= self._now():
            return None
        return decode_record(
            name=name,
            task=kept.task,
            holder=kept.holder,
            state=kept.state,
            times=(kept.started, kept.updated),
            alive=self._now() < kept.ends,
            stop=kept.stop,
            facts=kept.facts,
        )
