from datetime import UTC, date, datetime, timedelta, timezone
from decimal import Decimal
from enum import Enum
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from askonce.errors import PayloadInvalid
from askonce.fields import as_id, as_lines, as_time

TEXT = st.text(st.characters(codec="utf-8"))
NUMBER = UUID("12345678123456781234567812345678")


class Color(Enum):
    RED = " red "


EQUAL_IDS = {
    "number and text": (7, "7"),
    "float": (7.0, 7),
    "decimal": (Decimal("7.00"), 7),
    "decimal with an exponent": (Decimal("7E+2"), 700),
    "negative zero": (-0.0, 0),
    "negative zero as a decimal": (Decimal("-0"), "0"),
    "largest": (2**64 - 1, "18446744073709551615"),
    "white space": (" A-1\t\n", "A-1"),
    "no-break space": ("\u00a0A-1\u3000", "A-1"),
    "byte order mark": ("\ufeffA-1", "A-1"),
    "zero-width space": ("A\u200b-1", "A-1"),
    "white space behind a joiner": ("A-1 \u200d", "A-1"),
    "mark of direction": ("\u200eA-1\u202c", "A-1"),
    "enum": (Color.RED, "red"),
    "UUID": (NUMBER, str(NUMBER)),
}
IDS_APART = {
    "leading zeros": ("00123", "123"),
    "leading zeros and number": ("00123", 123),
    "sign": ("+7", 7),
    "fraction in text": ("7.0", 7),
    "case": ("a-1", "A-1"),
    "inner space": ("A 1", "A1"),
    "inner spaces": ("A  1", "A 1"),
    "large numbers": (2**53, 2**53 + 1),
}
NO_IDS = {
    "true": True,
    "false": False,
    "fraction": 1.5,
    "decimal fraction": Decimal("1.5"),
    "NaN": float("nan"),
    "infinity": float("inf"),
    "no decimal number": Decimal("NaN"),
    "large float": 2.0**53,
    "beyond 64 bits": 2**64,
    "decimal beyond 64 bits": Decimal("1E+1000000"),
    "empty": "",
    "blank": " \t",
    "zero-width only": "\u200b\ufeff",
    "null": None,
    "list": ["7"],
    "bytes": b"7",
}
MIDNIGHT = datetime(2026, 11, 26, tzinfo=UTC)
EQUAL_TIMES = {
    "Z and offset": ("2026-11-26T09:30:00Z", "2026-11-26T09:30:00+00:00"),
    "milliseconds": ("2026-11-26T09:30:00Z", "2026-11-26T09:30:00.000Z"),
    "other offset": ("2026-11-26T09:30:00Z", "2026-11-26T11:30:00+02:00"),
    "offset over the day": ("2026-11-26T01:30:00Z", "2026-11-25T22:30:00-03:00"),
    "short offset": ("2026-11-26T09:30:00Z", "2026-11-26 06:30:00-03"),
    "offset without a colon": ("2026-11-26T09:30:00Z", "2026-11-26T11:30:00+0200"),
    "unknown offset": ("2026-11-26T09:30:00Z", "2026-11-26T09:30:00-00:00"),
    "small letters": ("2026-11-26T09:30:00Z", "2026-11-26t09:30:00z"),
    "without seconds": ("2026-11-26T09:30:00Z", "2026-11-26T09:30Z"),
    "comma": ("2026-11-26T09:30:00.5Z", "2026-11-26T09:30:00,50Z"),
    "nanoseconds": ("2026-11-26T09:30:00.123456789Z", "2026-11-26T10:30:00.1234567890+01:00"),
    "trimmed": ("2026-11-26T09:30:00Z", " 2026-11-26T09:30:00Z\u200b"),
    "datetime": (MIDNIGHT, "2026-11-26T00:00:00Z"),
    "datetime with an offset": (MIDNIGHT.astimezone(timezone(timedelta(hours=2))), "2026-11-26T00:00:00Z"),
    "microseconds": (MIDNIGHT.replace(microsecond=500_000), "2026-11-26T00:00:00.5Z"),
    "date": (date(2026, 11, 26), " 2026-11-26 "),
    "times without a zone": ("2026-11-26T09:30:00", "2026-11-26 09:30:00.000"),
}
TIMES_APART = {
    "date and midnight": ("2026-11-26", "2026-11-26T00:00:00Z"),
    "date and local midnight": ("2026-11-26", "2026-11-26T00:00:00"),
    "no zone and Z": ("2026-11-26T09:30:00", "2026-11-26T09:30:00Z"),
    "beyond microseconds": ("2026-11-26T09:30:00.123456Z", "2026-11-26T09:30:00.1234567Z"),
    "dates in two forms": ("2026-11-26", "20261126"),
}
OTHER_TEXTS = [
    "26 November 2026",
    "2026-02-30T09:30:00Z",
    "2026-11-26T24:00:00Z",
    "2016-12-31T23:59:60Z",
    "0001-01-01T00:00:00+02:00",
    "2026-11-26T09:30:00+25:00",
    "2026-11-26T09:30:00 Europe/Lisbon",
]


def refusal(read, value):
    with pytest.raises(PayloadInvalid) as caught:
        read(value, "name")
    return caught.value


@pytest.mark.parametrize(("one", "other"), EQUAL_IDS.values(), ids=EQUAL_IDS)
def test_id_is_the_same_in_each_form(one, other):
    assert as_id(one) == as_id(other)


@pytest.mark.parametrize(("one", "other"), IDS_APART.values(), ids=IDS_APART)
def test_id_is_another_one(one, other):
    assert as_id(one) != as_id(other)


@pytest.mark.parametrize("value", NO_IDS.values(), ids=NO_IDS)
def test_id_is_refused_by_its_fields_name(value):
    assert "name" == refusal(as_id, value).field


@pytest.mark.parametrize(("one", "other"), EQUAL_TIMES.values(), ids=EQUAL_TIMES)
def test_time_is_the_same_in_each_form(one, other):
    assert as_time(one) == as_time(other)


@pytest.mark.parametrize(("one", "other"), TIMES_APART.values(), ids=TIMES_APART)
def test_time_is_another_one(one, other):
    assert as_time(one) != as_time(other)


@pytest.mark.parametrize("text", OTHER_TEXTS)
def test_text_that_the_calendar_does_not_have_stays_text(text):
    assert text == as_time(text)


@pytest.mark.parametrize("value", ["", " ", "\u200b", None, 7, True, ["2026-11-26"]], ids=repr)
def test_time_that_is_no_text_is_refused_by_its_fields_name(value):
    assert "name" == refusal(as_time, value).field


@pytest.mark.parametrize(
    ("instant", "hours"),
    [(datetime(1, 1, 1, tzinfo=UTC), 1), (datetime(9999, 12, 31, 23, tzinfo=UTC), -1)],
    ids=["first", "last"],
)
def test_instant_beyond_the_calendar_is_refused_by_its_fields_name(instant, hours):
    assert "name" == refusal(as_time, instant.replace(tzinfo=timezone(timedelta(hours=hours)))).field


@given(st.datetimes(timezones=st.timezones()), st.timezones())
def test_instant_is_the_same_in_each_zone(instant, zone):
    try:
        elsewhere = instant.astimezone(zone)
        same = elsewhere.astimezone(UTC) == instant.astimezone(UTC)
    except OverflowError:
        return

    assert not same or as_time(instant) == as_time(elsewhere)


@pytest.mark.parametrize("text", ["a\r\nb", "a\rb", "a\nb\n", "a\r\nb\r\n", "a\nb\n\n", "a\nb\r"], ids=repr)
def test_line_ends_of_a_text_do_not_count(text):
    assert "a\nb" == as_lines(text)


@pytest.mark.parametrize(
    "text", [" a\nb", "a\nb ", "a\n\nb", "\na\nb", "a\u2028b", "\ufeffa\nb", "a\u200d\nb"], ids=repr
)
def test_text_keeps_everything_but_its_line_ends(text):
    assert text == as_lines(text)


def test_joined_emoji_in_a_text_stays_one_emoji():
    family = "Ana: \U0001f469\u200d\U0001f469\u200d\U0001f467"

    assert family == as_lines(family)


@pytest.mark.parametrize(
    "value",
    [
        "",
        " ",
        "\r\n",
        "\u200b\n\u2060",
        "\ufeff \u00ad",
        "\u202e\x00",
        "\u3164\u2800",
        "\ufe0f\u034f",
        None,
        7,
        b"a",
    ],
    ids=repr,
)
def test_blank_text_is_refused_by_its_fields_name(value):
    assert "name" == refusal(as_lines, value).field


@pytest.mark.parametrize("read", [as_id, as_time, as_lines])
@given(TEXT | st.integers() | st.floats() | st.decimals() | st.datetimes(timezones=st.timezones()))
def test_normal_form_is_its_own_normal_form(read, value):
    try:
        once = read(value)
    except PayloadInvalid:
        return

    assert once == read(once)
