from collections import UserDict
from dataclasses import InitVar, dataclass, field
from datetime import UTC, date, datetime, time, timedelta, timezone
from decimal import Decimal
from enum import Enum, IntEnum
from typing import ClassVar, NamedTuple
from uuid import UUID

import pytest
from pydantic import BaseModel

from askonce.canonical import to_json
from askonce.errors import PayloadInvalid


class Colour(Enum):
    RED = "red"


class Level(IntEnum):
    HIGH = 3


class Part(BaseModel):
    count: int
    at: datetime


class Point(NamedTuple):
    x: int
    at: object = None


class Empty(NamedTuple):
    pass


@dataclass
class Row:
    kind: ClassVar[str] = "row"
    seed: InitVar[int]
    name: str
    part: object = None


@dataclass(frozen=True, slots=True)
class Slotted:
    of: object


@dataclass
class Unset:
    name: str = field(init=False)


def canonical(value):
    return to_json(value, canonical=True)


def refusal(value):
    with pytest.raises(PayloadInvalid) as caught:
        canonical(value)
    return caught.value


def test_numbers_text_and_booleans_differ():
    assert 5 == len({canonical({"n": n}) for n in (1, "1", 1.0, True, None)})


def test_list_differs_from_its_text_and_its_nesting():
    assert 4 == len({canonical({"n": n}) for n in ([], [[]], "[]", {})})


def test_missing_field_differs_from_an_empty_one():
    assert canonical({}) != canonical({"n": None})


def test_negative_zero_is_zero():
    assert canonical({"n": 0.0}) == canonical({"n": -0.0})


def test_two_ways_to_write_an_accent_are_one():
    composed, split = "Jo\u00e3o", "Joa\u0303o"

    assert composed != split
    assert canonical({"name": composed}) == canonical({"name": split})
    assert canonical({composed: 1}) == canonical({split: 1})


SLOTTED = {"of": {"name": "ana", "part": {"x": 1, "at": ["2026-11-20"]}}}


@pytest.mark.parametrize(
    ("value", "json"),
    [
        (datetime(2026, 11, 20, 9, 30, tzinfo=timezone(timedelta(hours=-3))), "2026-11-20T12:30:00+00:00"),
        (datetime(2026, 11, 20, 12, 30, tzinfo=UTC), "2026-11-20T12:30:00+00:00"),
        (datetime(2026, 11, 20, 9, 30), "2026-11-20T09:30:00"),  # noqa: DTZ001  # naive on purpose
        (date(2026, 11, 20), "2026-11-20"),
        (time(9, 30), "09:30:00"),
        (Decimal("1.10"), "1.10"),
        (UUID(int=1), "00000000-0000-0000-0000-000000000001"),
        (Colour.RED, "red"),
        (Level.HIGH, 3),
        ((1, 2), [1, 2]),
        (UserDict(n=1), {"n": 1}),
        (Part(count=1, at=datetime(2026, 11, 20, tzinfo=UTC)), {"count": 1, "at": "2026-11-20T00:00:00Z"}),
        (Point(1), {"x": 1, "at": None}),
        (Row(7, "ana"), {"name": "ana", "part": None}),
        (Slotted(Row(7, "ana", Point(1, [date(2026, 11, 20)]))), SLOTTED),
        (Empty(), {}),
    ],
    ids=lambda value: f"{type(value).__name__}-{value}",
)
def test_declared_type_has_one_json_form(value, json):
    assert canonical({"field": value}) == canonical({"field": json})


@pytest.mark.parametrize(
    ("payload", "field"),
    [
        ({"price": float("nan")}, "price"),
        ({"items": [{"price": 1.0}, {"price": float("inf")}]}, "items[1].price"),
        ({"items": [1, float("-inf")]}, "items[1]"),
        ({"price": Decimal("NaN")}, "price"),
        ({"name": "\ud800"}, "name"),
        ({"a": {"\udfff": 1}}, "a"),
        ({"a": {1: 2}}, "a"),
        ({"a": {None: 2}}, "a"),
        ({1: 2}, ""),
        ({"a": [2**64]}, "a[0]"),
        ({"a": -(2**63) - 1}, "a"),
        ({"a": {"b": {1, 2}}}, "a.b"),
        ({"a": b"raw"}, "a"),
        ({"a": object()}, "a"),
        ({"a": 1j}, "a"),
        ({"a": {"\u00e3": 1, "a\u0303": 2}}, "a"),
        ({"x": None, "a": {"b": [0, float("nan")]}}, "a.b[1]"),
        ({"a": Row(7, "ana", [Slotted({1, 2})])}, "a.part[0].of"),
        ({"a": Slotted(float("nan"))}, "a.of"),
        ({"a": Point(1, object())}, "a.at"),
        ({"a": Unset()}, "a"),
        ({"a": Row}, "a"),
        ({"a": Point}, "a"),
    ],
    ids=range(23),
)
def test_value_without_a_json_form_is_refused_by_its_field(payload, field):
    assert field == refusal(payload).field


@pytest.mark.parametrize(
    ("value", "value_type"),
    [
        (object(), "object"),
        ({1}, "set"),
        (float("nan"), "float"),
        (2**64, "int"),
        (Row, "type"),
        (Unset(), "Unset"),
    ],
    ids=range(6),
)
def test_refusal_names_the_type_of_the_value(value, value_type):
    assert value_type == refusal({"a": [value]}).value_type


def test_endless_payload_is_refused():
    loop = {}
    loop["again"] = loop

    assert "nested deeper" in refusal(loop).reason


@pytest.mark.parametrize("value", [{"secret-1"}, b"secret-1", Decimal("NaN")], ids=["set", "bytes", "nan"])
def test_refusal_never_quotes_the_payload(value):
    error = refusal({"a": value, "b": "secret-2"})

    assert "secret" not in f"{error} {error!r}"


def test_answers_keep_their_unicode_form_and_payloads_do_not():
    split = "Joa\u0303o"

    assert split in to_json([split]).decode()
    assert split not in to_json([split], canonical=True).decode()
