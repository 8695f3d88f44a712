"""Lists the providers that accept no call now, for the people who wait for them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final, NamedTuple

from askonce.pace.state import State

if TYPE_CHECKING:
    from askonce.board import Boards

#: Seconds after the next look was due from which on nobody follows a board any more: its workers have
#: stopped, or have another key or model, which is another board.
_FOLLOWED_FOR: Final = 120.0


class Away(NamedTuple):
    """A provider that accepts no call, as people see it."""

    subject: str
    reason: str
    #: How long it has been away.
    seconds: float
    #: Whether a person must act: a key, a model, an address.
    configuration: bool


def away(boards: Boards, now: float) -> list[Away]:
    """Return the providers that are away at *now*, seconds since 1970; each once for each reason.

    Raises:
        StoreUnavailable: the store did not answer.
    """
    longest: dict[tuple[str, str], Away] = {}
    for text in boards.states().values():
        found = _found(State.decode(text), now)
        if found is None:
            continue
        known = longest.get(found[:2])
        if known is None or known.seconds < found.seconds:
            longest[found[:2]] = found
    return sorted(longest.values())


def _found(state: State | None, now: float) -> Away | None:
    rest = state.rest if state is not None else None
    if state is None or rest is None or not rest.probing:
        return None
    if now > max(state.at, rest.until) + _FOLLOWED_FOR:
        return None
    # The state's time is the store's, whose clock may be ahead of this one.
    seconds = max(now, state.at) - rest.since
    return Away(state.subject, rest.reason, seconds, rest.configuration)
