"""One call of a process, from its turn to how it ended."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from askonce.pace.state import Allowance

#: How a call ended: it had an answer; it had a reply that is none; it was refused, by a limit or as every job
#: would be; it alone was refused; its connection broke; its time was over; nothing is known.
End = Literal["answered", "replied", "refused", "misconfigured", "alone", "lost", "timed_out", "unknown"]


@dataclass(slots=True, eq=False)
class Turn:
    """One call under way."""

    subject: str
    begun: float
    epoch: int
    #: Whether it is the one call that looks if the provider is back.
    is_probe: bool
    #: How many calls all processes had open with it.
    among: int
    #: Calls of an older crowd began before the provider went away: they take no place any more.
    crowd: float
    allowance: Allowance | None = None
    #: Whether it has not ended.
    is_open: bool = True
    #: Whether the others know already that it was refused.
    is_counted: bool = False
