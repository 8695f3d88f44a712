"""Writes numbers, money and times as people read them."""

from __future__ import annotations

from typing import Final

_MINUTE: Final = 60
_HOUR: Final = 60 * _MINUTE
_DAY: Final = 24 * _HOUR
_DOLLAR: Final = 1_000_000
_CENT: Final = _DOLLAR // 100


def amount(number: int, one: str, many: str = "") -> str:
    """Return ``1 row``, ``2,000 rows``; *many* is the word's plural, where that is more than an s."""
    return f"{number:,} {one if number == 1 else many or f'{one}s'}"


def dollars(micro_usd: int) -> str:
    """Return ``$1,234.57``; below a dollar four digits follow the point, and six below a cent."""
    digits = 2 if micro_usd >= _DOLLAR or not micro_usd else 4 if micro_usd >= _CENT else 6
    return f"${micro_usd / _DOLLAR:,.{digits}f}"


def duration(seconds: float) -> str:
    """Return ``5 s``, ``2 min 5 s``, ``3 h 2 min``, ``4 d 3 h``: the two largest units, cut off."""
    whole = int(seconds)
    for unit, name, small, smaller in (
        (_DAY, "d", _HOUR, "h"),
        (_HOUR, "h", _MINUTE, "min"),
        (_MINUTE, "min", 1, "s"),
    ):
        if whole >= unit:
            rest = whole % unit // small
            return f"{whole // unit} {name} {rest} {smaller}" if rest else f"{whole // unit} {name}"
    return f"{whole} s"


def pace(rate: float) -> str:
    """Return ``38.2 rows/s``; ``5 rows/min`` where fewer than one row ends in a second."""
    if rate >= 1 or not rate:
        return f"{rate:,.1f} rows/s" if rate < 100 else f"{rate:,.0f} rows/s"  # noqa: PLR2004  # enough digits
    return f"{rate * _MINUTE:.1f} rows/min"
