"""Brings the fields of a payload into their normal form, so that equal rows are one job.

    def order(row):
        return {"order_id": as_id(row.get("order_id"), "order_id"), "day": as_time(row.get("day"), "day")}

    JobSpec(input=order, key_fields=("order_id",))

Each function changes nothing in what it returned: a worker applies it again to the payload of a message.
"""

from __future__ import annotations

import re
import unicodedata
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from enum import Enum
from uuid import UUID

from askonce.errors import PayloadInvalid

#: Characters without a width that copying leaves in ids: joiners, marks of direction, byte order marks, soft
#: hyphens.
_NO_WIDTH = re.compile("[\u00ad\u180e\u200b-\u200f\u202a-\u202e\u2060-\u2064\u2066-\u206f\ufeff]")
#: Letters and marks that show nothing by themselves: fillers, the blank of Braille, selectors of a variant.
_NO_INK = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180d\u180f\u2800\u3164\ufe00-\ufe0f\uffa0\U000e0100-\U000e01ef]"
)
#: A day and a time of day; the seconds, their fraction and the zone may be missing.
_TIME = re.compile(
    r"(\d{4}-\d\d-\d\d)[Tt ](\d\d:\d\d)(?::(\d\d)(?:[.,](\d+))?)?(?: ?([Zz]|[+-]\d\d(?::?\d\d)?))?",
    re.ASCII,
)
#: From here on a float may stand for several whole numbers.
_INEXACT = 2**53


def as_id(value: object, field: str = "") -> str:
    """Return an id as text: trimmed, without zero-width characters; a whole number as its decimal digits.

    7, 7.0 and "7" are one id. "00123" and "123" are two.

    Raises:
        PayloadInvalid: *field* is empty, or neither text nor a whole number.
    """
    value = value.value if isinstance(value, Enum) else value
    match value:
        case str() | UUID():
            return _one_word(str(value), field)
        # True is an int to Python.
        case int() | float() | Decimal() if not isinstance(value, bool):
            return _digits(value, field)
    raise PayloadInvalid(field=field, reason="must be an id: text or a whole number")


def as_time(value: object, field: str = "") -> str:
    """Return an instant in UTC; any other text, such as a date, as it is but trimmed.

    Texts with a zone are compared as instants, to any fraction of a second. A date is not midnight, and a
    time without a zone is not an instant: each is equal only to its own kind.

    Raises:
        PayloadInvalid: *field* is empty, or neither text nor a date or time.
    """
    if isinstance(value, datetime) and value.tzinfo is not None:
        try:
            value = value.astimezone(UTC)
        except OverflowError:
            raise PayloadInvalid(field=field, reason="is before year 1 or after 9999 in UTC") from None
    if isinstance(value, date):
        value = value.isoformat()
    if not isinstance(value, str):
        raise PayloadInvalid(field=field, reason="must be text")
    text = _one_word(value, field)
    parts = _TIME.fullmatch(text)
    return _moment(*parts.groups()) or text if parts else text


def as_lines(value: object, field: str = "") -> str:
    """Return text whose lines end with a line feed, without line ends after the last line.

    Raises:
        PayloadInvalid: *field* is blank, or not text.
    """
    if not isinstance(value, str):
        raise PayloadInvalid(field=field, reason="must be text")
    text = value.replace("\r\n", "\n").replace("\r", "\n").rstrip("\n")
    if is_blank(text):
        raise PayloadInvalid(field=field, reason="must not be blank")
    return text


def is_blank(text: str) -> bool:
    """Return whether *text* shows nothing: it has only white space, and characters without a width."""
    # Z are separators. C are control characters, joiners, marks of direction, and what is no character.
    return all(unicodedata.category(each)[0] in "ZC" or _NO_INK.match(each) for each in text)


def _one_word(text: str, field: str) -> str:
    # First the characters, because a trim does not see white space behind them.
    text = (text if text.isascii() else _NO_WIDTH.sub("", text)).strip()
    if not text:
        raise PayloadInvalid(field=field, reason="must not be blank")
    return text


def _digits(number: float | Decimal, field: str) -> str:
    if not _is_whole(number):
        raise PayloadInvalid(field=field, reason="must be a whole number, or text")
    if not -(2**63) <= number < 2**64 or (isinstance(number, float) and abs(number) >= _INEXACT):
        raise PayloadInvalid(field=field, reason="a number too large to be exact; send it as text")
    return str(int(number))


def _is_whole(number: float | Decimal) -> bool:
    if isinstance(number, Decimal):
        return number.is_finite() and number == number.to_integral_value()
    return float(number).is_integer() if isinstance(number, float) else True


def _moment(day: str, minute: str, second: str | None, fraction: str | None, zone: str | None) -> str | None:
    """Return the time in UTC, or without a zone where it has none; None where the calendar has no such time.

    The fraction stays text: a datetime would cut it after microseconds.
    """
    try:
        local = datetime.fromisoformat(f"{day}T{minute}:{second or '00'}") - _offset(zone)
    except (ValueError, OverflowError):
        return None
    fraction = (fraction or "").rstrip("0")
    return f"{local.isoformat()}{'.' if fraction else ''}{fraction}{'Z' if zone else ''}"


def _offset(zone: str | None) -> timedelta:
    if zone is None or zone in "Zz":
        return timedelta()
    clock = time.fromisoformat(zone[1:])
    ahead = timedelta(hours=clock.hour, minutes=clock.minute)
    return -ahead if zone[0] == "-" else ahead
