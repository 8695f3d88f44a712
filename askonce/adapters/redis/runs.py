"""Keeps run records on Redis: one HASH for each, and a sorted set of their names, in the slot of bucket 0."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from askonce.errors import RecordDamaged, StoreUnavailable
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
    from collections.abc import Iterable, Mapping

    from askonce.adapters.redis.scripts import Scripts

_KEPT = int(RUN_KEPT * 1000)
#: Parts of one record in the reply of ``runs.lua``.
_PARTS = 9


class RedisRuns:
    """The run records of one namespace."""

    def __init__(self, scripts: Scripts) -> None:
        """Use the link and the keys of *scripts*."""
        self._scripts, self._key = scripts, scripts.bucket_key(0, "runs")

    def hold(self, name: str, holder: str, ttl: float, task: str, facts: Mapping[str, Fact]) -> Hold:
        """Claim the run of this name for *ttl* seconds, or renew the claim, and describe the run."""
        require_hold(name, holder, ttl, task)
        described = task, encode_facts(facts)
        reply = self._run("hold", name, holder, int(ttl * 1000), *described, _KEPT, RUNS_KEPT)
        taken, has_it, left, stop = reply
        return Hold(bool(taken), _text(has_it), left / 1000, _text(stop))

    def release(self, name: str, holder: str, state: RunState, facts: Mapping[str, Fact]) -> bool:
        """End the run and keep its record."""
        return bool(self._run("release", name, holder, state, encode_facts(facts), _KEPT))

    def ask_to_stop(self, name: str, why: str) -> bool:
        """Ask the run's producer to stop."""
        return bool(self._run("ask_to_stop", name, why[:NAME_KEPT] or "stopped"))

    def get(self, name: str) -> RunRecord | None:
        """Return the record of one run."""
        return next(iter(self._found(name)), None) if name else None

    def list(self) -> list[RunRecord]:
        """Return the records, the last changed first; a damaged record is left out."""
        return list(self._found(""))

    def _found(self, name: str) -> Iterable[RunRecord]:
        flat = iter(self._run("runs", name, _KEPT))
        for called, task, holder, state, started, updated, alive, stop, facts in zip(
            *[flat] * _PARTS, strict=True
        ):
            shown = decode_record(
                name=_text(called),
                task=_text(task),
                holder=_text(holder),
                state=_text(state),
                times=(started / 1000, updated / 1000),
                alive=bool(alive),
                stop=_text(stop),
                facts=facts,
            )
            if shown is not None:
                yield shown

    def _run(self, verb: str, *args: bytes | str | int) -> Any:  # noqa: ANN401  # as the script returns
        try:
            return self._scripts.run_all(verb, [((self._key,), args)])[0]
        except RecordDamaged as damaged:
            # No record of a job: without it the store is of no use here.
            raise StoreUnavailable(verb=verb, reason=damaged.reason) from None


def _text(data: bytes) -> str:
    return data.decode(errors="replace")
