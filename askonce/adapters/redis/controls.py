"""Keeps controls on Redis: ``...:ctl`` and ``...:marks`` beside each bucket's index, the same in all."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from askonce.adapters.redis.claims import milliseconds
from askonce.controls import NOTE_KEPT, Pause, require_mark, require_pause
from askonce.errors import StoreUnavailable
from askonce.record import BUCKETS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from askonce.adapters.redis.scripts import Call, Scripts
    from askonce.controls import Mark, Scope

#: Buckets in one round trip: the end of a pause touches each job that it put aside, and a server does all of
#: a round trip before it serves anyone else.
_AT_ONCE = 32


class RedisControls:
    """The controls of one namespace."""

    def __init__(self, scripts: Scripts) -> None:
        """Use the link and the keys of *scripts*."""
        self._scripts = scripts

    def pause(self, pause: Pause, note: str) -> None:
        """Start no job of *pause* any more."""
        require_pause(pause)
        self._set(pause.field, note[:NOTE_KEPT] or "paused")

    def resume(self, pause: Pause) -> bool:
        """End *pause*; return whether there was one."""
        return self._set(pause.field, "")

    def mark(self, mark: Mark, kept: float = 0.0) -> None:
        """Make every answer of *mark* old whose run began before now, in one round trip."""
        require_mark(mark, kept)
        words = mark.field, mark.mode, milliseconds(kept)
        indexes = [self._scripts.bucket_key(bucket, "idx") for bucket in range(BUCKETS)]
        calls: list[Call] = [((index,), (*words, "", "")) for index in indexes]
        # The last one tells: who learns of it finds every bucket marked.
        calls[-1] = (indexes[-1],), (*words, self._scripts.invalidated, mark.notice)
        if not all(self._scripts.run_all("mark", calls)):
            server = self._scripts.link.place_of(indexes[0])
            raise StoreUnavailable(verb="mark", reason="marks_full", server=server)

    def pauses(self) -> Mapping[Pause, str]:
        """Return the pauses that hold, with their notes."""
        [kept] = self._scripts.hashes([self._scripts.bucket_key(0, "ctl")])
        found = {name.decode(): note.decode(errors="replace") for name, note in kept.items()}
        return {_to_pause(name): note for name, note in found.items() if name.startswith("pause\n")}

    def _set(self, field: str, value: str) -> bool:
        # Workers read the pauses of the first bucket. It is paused first and resumed last, so that no worker
        # takes messages of jobs that may not start yet.
        buckets = range(BUCKETS) if value else reversed(range(BUCKETS))
        indexes = [self._scripts.bucket_key(bucket, "idx") for bucket in buckets]
        calls: list[Call] = [((index,), (field, value)) for index in indexes]
        changed = False
        for first in range(0, BUCKETS, _AT_ONCE):
            left = calls[first : first + _AT_ONCE]
            while left:
                replies = self._scripts.run_all("control", left)
                changed = changed or any(reply[0] for reply in replies)
                left = [call for call, reply in zip(left, replies, strict=True) if reply[1]]
        return changed


def _to_pause(field: str) -> Pause:
    _, scope, *name = field.split("\n")
    return Pause(cast("Scope", scope), "".join(name))
