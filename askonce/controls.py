"""Controls that every process obeys at its next verb: pauses, and marks that make kept answers old.

A pause holds back jobs that are not running yet. A mark makes every answer old whose run began before it: it
is removed, or stale. A mark is written once for each bucket of records, however many answers it makes old.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NamedTuple, Protocol, get_args

import orjson

from askonce.spec import LONGEST, TAG_KEPT

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

Scope = Literal["all", "queue", "task", "tenant", "run", "model"]
#: Their pauses stop whole queues: no worker takes messages from them, and those keep their order.
QUEUE_SCOPES: tuple[Scope, ...] = ("all", "queue")
#: Characters of a name that is paused.
NAME_KEPT = 1_000
#: Characters of a note.
NOTE_KEPT = 200


class Pause(NamedTuple):
    """Which jobs a pause holds back; *name* is empty for all."""

    scope: Scope
    name: str = ""

    @property
    def field(self) -> str:
        """Its name in the store."""
        return "pause\nall" if self.scope == "all" else f"pause\n{self.scope}\n{self.name}"


#: ``remove``: no caller gets such an answer again. ``expire``: it is stale, so it may be served while a job
#: makes it anew, or where that job's call fails.
MarkMode = Literal["remove", "expire"]
MARK_MODES: tuple[MarkMode, ...] = get_args(MarkMode)
MarkScope = Literal["all", "task", "tenant", "version", "tag"]
MARK_SCOPES: tuple[MarkScope, ...] = get_args(MarkScope)


class Mark(NamedTuple):
    """Which answers a mark makes old; *name* is empty for all, *version* only for the scope ``version``."""

    scope: MarkScope
    name: str = ""
    version: str = ""
    mode: MarkMode = "remove"

    @property
    def field(self) -> str:
        """Its name in the store, the same for both modes: the times of both stand beside each other."""
        names = {"all": (), "version": (self.name, self.version)}.get(self.scope, (self.name,))
        return "\n".join((self.scope, *names))

    @property
    def notice(self) -> bytes:
        """What processes learn that keep answers too, as JSON; of one record they learn the key alone."""
        return orjson.dumps({name: value for name, value in self._asdict().items() if value})


class Controls(Protocol):
    """The controls of one store. A pause or a mark is set in a few round trips, and may be set again."""

    def pause(self, pause: Pause, note: str) -> None:
        """Start no job of *pause* any more; *note* says who wants that and why.

        Raises:
            ValueError: *pause* names nothing, or what no job can have.
        """

    def resume(self, pause: Pause) -> bool:
        """End *pause*; return whether there was one."""

    def mark(self, mark: Mark, kept: float = 0.0) -> None:
        """Make every answer of *mark* old whose run began before now, in one round trip.

        When this has returned, no process gets such an answer from the store as a fresh one. The mark is
        kept as long as the answers of before, and for a day at least: a run that takes longer is not met.
        How long answers of a release without marks are kept, the store does not know: name their longest
        ``hard_ttl``, and the mark is *kept* for so many seconds at least.

        Raises:
            ValueError: *mark* names nothing, or what no answer can have; *kept* is no such time.
            StoreUnavailable: also with the reason ``marks_full``: the store keeps MAX_MARKS of them.
        """

    def pauses(self) -> Mapping[Pause, str]:
        """Return the pauses that hold, with their notes; one round trip."""


def require_pause(pause: Pause) -> None:
    """Raise ValueError where *pause* names nothing, or what no job can have."""
    if pause.scope == "all":
        if pause.name:
            raise ValueError("a pause of all has no name")
    elif not 0 < len(pause.name) <= NAME_KEPT or not pause.name.isprintable():
        raise ValueError(f"a pause names a {pause.scope}: 1 to {NAME_KEPT} printable characters")


def require_mark(mark: Mark, kept: float = 0.0) -> None:
    """Raise ValueError where *mark* names nothing, what no answer can have, or *kept* is no such time."""
    if not 0 <= kept <= LONGEST:
        raise ValueError(f"a mark is kept for 0 to {LONGEST:.0f} seconds, not {kept}")
    if mark.scope not in MARK_SCOPES:
        raise ValueError(f"the scope of a mark is one of {', '.join(MARK_SCOPES)}, not {mark.scope!r}")
    if mark.mode not in MARK_MODES:
        raise ValueError(f"the mode of a mark is {' or '.join(MARK_MODES)}, not {mark.mode!r}")
    most = TAG_KEPT if mark.scope == "tag" else NAME_KEPT
    if mark.scope == "all":
        if mark.name:
            raise ValueError("a mark of all has no name")
    elif not 0 < len(mark.name) <= most or not mark.name.isprintable():
        raise ValueError(f"a mark names a {mark.scope}: 1 to {most} printable characters")
    if (mark.scope == "version") != bool(mark.version) or not mark.version.isprintable():
        raise ValueError(
            "a mark of a version names its task and the version, and no other mark has a version"
        )


def note_of_queue(pauses: Mapping[Pause, str], names: Iterable[str]) -> str | None:
    """Return the note of the pause that stops a queue with these *names*; None where none does."""
    stopping = (Pause("all"), *(Pause("queue", name) for name in names))
    return next((pauses[pause] for pause in stopping if pause in pauses), None)


def note_of_job(
    pauses: Mapping[Pause, str], *, queue: str, task: str, tenant: str = "", run: str = "", model: str = ""
) -> str | None:
    """Return the note of the pause that holds back such a job; None where none does."""
    holding = pauses_of_job(pauses, queue=queue, task=task, tenant=tenant, run=run, model=model)
    return next((note for _, note in holding), None)


def pauses_of_job(
    pauses: Mapping[Pause, str], *, queue: str, task: str, tenant: str = "", run: str = "", model: str = ""
) -> list[tuple[Pause, str]]:
    """Return the pauses that hold back such a job, with their notes."""
    named = (
        Pause("all"),
        Pause("queue", queue),
        Pause("task", task),
        Pause("tenant", tenant),
        Pause("run", run),
        Pause("model", model),
    )
    return [(pause, pauses[pause]) for pause in named if pause in pauses]
