"""When an entry is due: its slots, each a moment on a grid that no process and no clock of a host chooses.

Moments are whole milliseconds since 1970 in UTC. From one moment every scheduler computes the same slots.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from math import inf
from sys import float_info
from typing import TYPE_CHECKING, Final, NamedTuple, assert_never
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from askonce.spec import LONGEST

if TYPE_CHECKING:
    from collections.abc import Iterable

#: So many missed slots of one entry fire at most, the newest.
CAUGHT_UP: Final = 1_000
_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND: Final = timedelta(milliseconds=1)
#: No clock of the time zone database is set back by more.
_LONGEST_FOLD: Final = timedelta(hours=3)


@dataclass(frozen=True, slots=True)
class Every:
    """A slot each so many seconds, on a grid that begins with the year 1970 in UTC and *offset* seconds."""

    seconds: float
    offset: float = 0.0

    def __post_init__(self) -> None:
        """Refuse what cannot work, by name."""
        require_within("Every", "seconds", self.seconds, 1.0, LONGEST)
        require_within("Every", "offset", self.offset, 0.0, self.seconds)
        for name, number in (("seconds", self.seconds), ("offset", self.offset)):
            # Rounded, the grid would drift away from what its name says.
            if abs(number * 1000 - round(number * 1000)) > number * 1e-9:
                raise ValueError(f"Every: {name} must be whole milliseconds, not {number}")


@dataclass(frozen=True, slots=True)
class Cron:
    """Slots at times of the day in *zone*, in the five fields of cron: ``"30 3 * * mon-fri"``.

    Where clocks are set forward, a time that does not exist is the moment of the change. Where they are set
    back, a time that exists twice is the first of the two. A minute or an hour that begins with ``*`` names
    no time of the day: then a slot is each moment at which a clock on the wall shows such a time.
    """

    times: str
    #: A name of the IANA time zone database.
    zone: str = "UTC"


At = Every | Cron


class Passed(NamedTuple):
    """The slots that passed since the last one that was decided."""

    #: The newest, oldest first; the last of them is the latest slot.
    slots: tuple[int, ...]
    #: Whether there were still older ones.
    has_older: bool


def require_slots(at: object) -> None:
    """Raise ValueError where *at* has no slots, or ModuleNotFoundError where cronsim is missing."""
    match at:
        case Every():
            return
        case Cron():
            _require_cron(at)
        case _:
            kind = type(at).__name__
            raise ValueError(f'at must be Every(600) or Cron("30 2 * * *"), for example, not {kind}')


def latest(at: At, now: int) -> int:
    """Return the last slot that is not after *now*."""
    match at:
        case Every():
            offset, step = _grid(at)
            return (now - offset) // step * step + offset
        case Cron():
            return _to_ms(_last(at, _to_moment(now)))
    assert_never(at)


def after(at: At, slot: int) -> int:
    """Return the first slot after that moment."""
    match at:
        case Every():
            return latest(at, slot) + _grid(at)[1]
        case Cron():
            return _to_ms(_next(at, _to_moment(slot)))
    assert_never(at)


def passed(at: At, last: int, now: int, most: int = CAUGHT_UP) -> Passed:
    """Return the slots after *last* and not after *now*: the newest, *most* at most."""
    found: list[int] = []
    slot = latest(at, now)
    while slot > last and len(found) < most:
        found.append(slot)
        slot = latest(at, slot - 1)
    return Passed(tuple(reversed(found)), has_older=slot > last)


def require_within(owner: str, name: str, number: object, least: float, most: float) -> None:
    """Raise ValueError where *number* is none from *least* to *most*; naming *owner* and its field *name*."""
    # NaN is within no limits.
    fits = isinstance(number, int | float) and not isinstance(number, bool) and least <= number <= most
    # An integer may be larger than any float.
    if not fits or abs(number) > float_info.max:  # type: ignore[arg-type]  # a number, or it does not fit
        limits = f"at least {least:g}" if most == inf else f"from {least:g} to {most:g}"
        raise ValueError(f"{owner}: {name} must be {limits}, not {number}")


def _grid(every: Every) -> tuple[int, int]:
    return round(every.offset * 1000), round(every.seconds * 1000)


def _to_moment(slot: int) -> datetime:
    return _EPOCH + slot * _MILLISECOND


def _to_ms(moment: datetime) -> int:
    return (moment - _EPOCH) // _MILLISECOND


def _require_cron(cron: Cron) -> None:
    if not isinstance(cron.times, str) or len(cron.times.split()) != 5:  # noqa: PLR2004  # minute to day of the week
        raise ValueError(f"Cron: times must be five fields of cron, not {cron.times!r}")
    if not _is_zone(cron.zone):
        raise ValueError(f"Cron: zone {cron.zone!r} is not in the time zone database of this machine")
    try:
        from cronsim import CronSimError
    except ModuleNotFoundError:
        raise ModuleNotFoundError(
            "Cron needs the package cronsim: pip install 'askonce[schedule]'", name="cronsim"
        ) from None
    try:
        _next(cron, _EPOCH)
    except CronSimError as error:
        raise ValueError(f"Cron: times {cron.times!r}: {str(error).lower()}") from None
    except StopIteration:
        raise ValueError(f"Cron: times {cron.times!r} never come") from None


def _is_zone(name: object) -> bool:
    try:
        ZoneInfo(name)  # type: ignore[arg-type]  # what is no text is no name
    except (ZoneInfoNotFoundError, ValueError, TypeError, OSError):
        return False
    return True


def _next(cron: Cron, moment: datetime) -> datetime:
    """Return the first slot after *moment*.

    A clock that is set back shows times again: in these hours the later of two times may come first.
    """
    zone = _zone(cron.zone)
    found: list[datetime] = []
    for wall in _walls(cron, _on_wall(moment - _fold_near(zone, moment), zone)):
        moments = _moments(cron, wall, zone)
        found += [each for each in moments if each > moment]
        # When times are shown first, they are in their order: no later one comes before this.
        if moments and moments[0] > moment:
            break
    return min(found)


def _last(cron: Cron, moment: datetime) -> datetime:
    """Return the last slot that is not after *moment*."""
    zone = _zone(cron.zone)
    fold = _fold_near(zone, moment)
    start = _on_wall(moment + fold, zone).replace(microsecond=0) + timedelta(seconds=1)
    found: datetime | None = None
    least: datetime | None = None
    for wall in _walls(cron, start, reverse=True):
        if least is not None and wall < least:
            break
        for each in _moments(cron, wall, zone):
            if each <= moment and (found is None or each > found):
                found, least = each, least or wall - fold
        if found is not None and not fold:
            break
    assert found is not None, "the walk ends with a slot, or by StopIteration"
    return found


def _walls(cron: Cron, start: datetime, *, reverse: bool = False) -> Iterable[datetime]:
    """Yield the times of a clock without a zone, after *start* or before it."""
    from cronsim import CronSim

    return CronSim(cron.times, start, reverse=reverse)


def _moments(cron: Cron, wall: datetime, zone: ZoneInfo) -> list[datetime]:
    """Return the moments at which clocks in *zone* show *wall*, as slots of *cron*."""
    minutes, hours = cron.times.split()[:2]
    is_time_of_day = not minutes.startswith("*") and not hours.startswith("*")
    first, second = (wall.replace(tzinfo=zone, fold=fold).astimezone(UTC) for fold in (0, 1))
    if first == second:
        return [first]
    if first < second:
        return [first] if is_time_of_day else [first, second]
    return [_change(wall, zone)] if is_time_of_day else []


def _change(wall: datetime, zone: ZoneInfo) -> datetime:
    """Return the moment of the change that leaves out *wall*."""
    while _on_wall(moment := wall.replace(tzinfo=zone).astimezone(UTC), zone) != wall:
        wall += timedelta(minutes=1)
    return moment


def _fold_near(zone: ZoneInfo, moment: datetime) -> timedelta:
    """Return how far around *moment* the wall may show times that are not in their order; mostly 0."""
    offsets = {
        each.astimezone(zone).utcoffset() for each in (moment - _LONGEST_FOLD, moment, moment + _LONGEST_FOLD)
    }
    return _LONGEST_FOLD if len(offsets) > 1 else timedelta()


def _on_wall(moment: datetime, zone: ZoneInfo) -> datetime:
    return moment.astimezone(zone).replace(tzinfo=None, fold=0)


@cache
def _zone(name: str) -> ZoneInfo:
    return ZoneInfo(name)
