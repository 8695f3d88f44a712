"""Controls that every process obeys at its next verb: pauses, and marks that make kept answers old.

A pause holds back jobs that are not running yet. A mark makes every answer old whose run began before it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, NamedTuple, Protocol

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


class Mark(NamedTuple):
    """Which kept answers a mark makes old; *version* only for the scope ``version``."""

    scope: Literal["task", "tenant", "version"]
    name: str
    version: str = ""

    @property
    def field(self) -> str:
        """Its name in the store."""
        versioned = f"\n{self.version}" if self.scope == "version" else ""
        return f"mark\n{self.scope}\n{self.name}{versioned}"


class Controls(Protocol):
    """The controls of one store. A pause or a mark is set in a few round trips, and may be set again."""

    def pause(self, pause: Pause, note: str) -> None:
        """Start no job of *pause* any more; *note* says who wants that and why.

        Raises:
            ValueError: *pause* names nothing, or what no job can have.
        """

    def resume(self, pause: Pause) -> bool:
        """End *pause*; return whether there was one."""

    def mark(self, mark: Mark) -> None:
        """Make every answer of *mark* old whose run began before now."""

    def pauses(self) -> Mapping[Pause, str]:
        """Return the pauses that hold, with their notes; one round trip."""


def require_pause(pause: Pause) -> None:
    """Raise ValueError where *pause* names nothing, or what no job can have."""
    if pause.scope == "all":
        if pause.name:
            raise ValueError("a pause of all has no name")
    elif not 0 < len(pause.name) <= NAME_KEPT or not pause.name.isprintable():
        raise ValueError(f"a pause names a {pause.scope}: 1 to {NAME_KEPT} printable characters")


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
