"""Keeps controls on Redis: ``...:ctl`` beside each bucket's index, the same in all of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from askonce.adapters.redis.reply import pairs_of
from askonce.controls import NOTE_KEPT, Pause
from askonce.record import BUCKETS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from askonce.adapters.redis.scripts import Call, Scripts
    from askonce.controls import Mark, Scope


class RedisControls:
    """The controls of one namespace."""

    def __init__(self, scripts: Scripts) -> None:
        """Use the link and the keys of *scripts*."""
        self._scripts = scripts

    def pause(self, pause: Pause, note: str) -> None:
        """Start no job of *pause* any more."""
        self._set(pause.field, note[:NOTE_KEPT] or "paused")

    def resume(self, pause: Pause) -> bool:
        """End *pause*; return whether there was one."""
        return self._set(pause.field, "")

    def mark(self, mark: Mark) -> None:
        """Make every answer of *mark* old whose run began before now."""
        self._set(mark.field, "now")

    def pauses(self) -> Mapping[Pause, str]:
        """Return the pauses that hold, with their notes."""
        [reply] = self._scripts.send("read", ("HGETALL", self._scripts.bucket_key(0, "ctl")))
        found = {name.decode(): note.decode(errors="replace") for name, note in pairs_of(reply)}
        return {_to_pause(name): note for name, note in found.items() if name.startswith("pause\n")}

    def _set(self, field: str, value: str) -> bool:
        buckets = (self._scripts.bucket_key(bucket, "idx") for bucket in range(BUCKETS))
        calls: list[Call] = [((index,), (field, value)) for index in buckets]
        return any(self._scripts.run_all("control", calls))


def _to_pause(field: str) -> Pause:
    _, scope, *name = field.split("\n")
    return Pause(cast("Scope", scope), "".join(name))
