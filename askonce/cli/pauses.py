"""Pauses as people name them on a command line."""

from __future__ import annotations

from typing import TYPE_CHECKING

from askonce.line import one_line

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from askonce.audit import Entry
    from askonce.controls import Pause


def option_of(pause: Pause) -> str:
    """Return the option that names *pause*: ``--task rates.fetch``."""
    # Whoever may write to the store may write a pause.
    return one_line(f"--{pause.scope} {pause.name}".rstrip())


def line_of(pause: Pause, note: str) -> str:
    """Return *pause* with its note, in one line."""
    what = "all jobs" if pause.scope == "all" else f"{pause.scope} {pause.name}"
    return one_line(f"{what}: {note or 'nobody said why'}")


def began(held: Mapping[Pause, str], entries: Iterable[Entry]) -> dict[Pause, float]:
    """Return since when these pauses hold, by their notes: a pause that a program set has no entry."""
    from askonce.cli.signed import by_whom

    written = {(each.what, by_whom(each.who, each.note)): each.at for each in entries if each.act == "pause"}
    since = {pause: written.get((option_of(pause), note)) for pause, note in held.items()}
    return {pause: at for pause, at in since.items() if at is not None}
