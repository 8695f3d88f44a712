"""Serves what older versions of a task answered, until the first answer of the new one is there."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, TypeVar

from askonce.errors import AnswerUnreadable, StoreUnavailable
from askonce.outcomes import Admitted, Attached

if TYPE_CHECKING:
    from askonce.answer import Result
    from askonce.errors import JobError
    from askonce.handle import Handle
    from askonce.job import Key
    from askonce.outcomes import Outcome
    from askonce.record import Snapshot
    from askonce.store import Store

_FoundT = TypeVar("_FoundT", "Outcome", "Outcome | JobError")


def with_older_answers(store: Store, found: dict[int, _FoundT]) -> dict[int, _FoundT]:
    """Return *found*, where who waits for a job also has an answer of an older version, as a stale one.

    Not where the key had an answer of its own: that was newer, and was removed or made doubtful.
    One more round trip for all that wait and have no stale answer; none where nobody does.
    """
    waiting = {
        position: outcome
        for position, outcome in found.items()
        if isinstance(outcome, Admitted | Attached) and outcome.stale is None
    }
    serving = [outcome for outcome in waiting.values() if outcome.handle.older]
    own = dict.fromkeys(outcome.handle.key for outcome in serving)
    keys = list(own | dict.fromkeys(key for outcome in serving for key in outcome.handle.older))
    if not keys:
        return found
    try:
        records = dict(zip(keys, store.read(keys), strict=True))
    except StoreUnavailable:
        # Their jobs are enqueued all the same.
        return found
    older = {at: _answer(outcome.handle, records) for at, outcome in waiting.items()}
    return {**found, **{at: replace(waiting[at], stale=stale) for at, stale in older.items() if stale}}


def _answer(handle: Handle, records: dict[Key, Snapshot]) -> Result | None:
    try:
        return handle.older_answer(records)
    except AnswerUnreadable:
        # It cannot be joined to the caller's row: the caller is no worse off than without one.
        return None
