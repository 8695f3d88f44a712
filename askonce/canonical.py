"""Turns any value into strict JSON bytes; what JSON cannot express is an error that names the field.

The canonical form has sorted keys and NFC strings: ``1``, ``"1"``, ``1.0`` and ``true`` differ, a
``datetime`` equals its UTC ISO form, NaN does not exist. A dataclass, a NamedTuple and a pydantic model
are the object of their fields. orjson writes it. orjson is lenient with a few
values: NaN becomes null, -0.0 keeps its sign, strings keep their normal form. Output that may hold one of
them is written again by the slow, strict path.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from datetime import UTC, date, datetime, time
from decimal import Decimal
from enum import Enum
from math import copysign, isfinite
from types import NoneType
from uuid import UUID

import orjson

from askonce.errors import PayloadInvalid

#: orjson itself refuses to nest deeper than 254.
_MAX_DEPTH = 250

_STRICT = orjson.OPT_PASSTHROUGH_DATETIME | orjson.OPT_PASSTHROUGH_DATACLASS | orjson.OPT_PASSTHROUGH_SUBCLASS
_CANONICAL = _STRICT | orjson.OPT_SORT_KEYS
_NEVER_LENIENT = frozenset((str, int, bool, NoneType))


def to_json(value: object, *, canonical: bool = False) -> bytes:
    """Serialise *value* strictly; a value without a JSON form is never a silent null.

    Raises:
        PayloadInvalid: names the field.
    """
    option = _CANONICAL if canonical else _STRICT
    try:
        text = orjson.dumps(value, _encode, option)
    except (TypeError, RecursionError) as exc:
        _normalise(value, "", 0)
        raise PayloadInvalid(field="", reason=str(exc)) from None
    if _may_be_lenient(value, text, canonical=canonical):
        text = orjson.dumps(_normalise(value, "", 0, nfc=canonical), option=option)
    return text


def _may_be_lenient(value: object, text: bytes, *, canonical: bool) -> bool:
    # Most payloads are flat: checking their few types is faster than searching their bytes.
    flat = type(value) is dict and _NEVER_LENIENT.issuperset(map(type, value.values()))
    if not flat and (b"null" in text or b"-0.0" in text) and not _is_plain(value):
        return True
    return canonical and not text.isascii() and not unicodedata.is_normalized("NFC", text.decode())


def _is_plain(value: object) -> bool:
    """Return whether orjson writes every float in *value* strictly; False when that is unknown."""
    if type(value) in _NEVER_LENIENT:
        return True
    if type(value) is float:
        return isfinite(value) and (value != 0 or copysign(1.0, value) > 0)
    if type(value) is dict:
        return all(map(_is_plain, value.values()))
    return type(value) is list and all(map(_is_plain, value))


def _encode(value: object) -> object:
    """Return the JSON form of a declared type; orjson calls this for types that it does not know."""
    match value:
        case datetime():
            return (value.astimezone(UTC) if value.tzinfo else value).isoformat()
        case date() | time():
            return value.isoformat()
        case Decimal() if value.is_finite():
            return str(value)
        case UUID():
            return str(value)
        case Enum():
            return value.value
        case Mapping():
            return dict(value)
    return _fields_of(value)


def _fields_of(value: object) -> object:
    dump = getattr(value, "model_dump", None)
    if callable(dump):
        return dump(mode="json")
    names = _names_of_fields(value)
    if names is None:
        raise TypeError(f"{type(value).__name__} has no JSON form")
    return {name: getattr(value, name) for name in names}


def _names_of_fields(value: object) -> list[str] | None:
    """Return the fields of a dataclass or a NamedTuple; None for any other value."""
    kind = type(value)
    if is_dataclass(kind):
        return [each.name for each in fields(kind)]
    named = getattr(kind, "_fields", None) if isinstance(value, tuple) else None
    return None if named is None else list(named)


def _normalise(value: object, path: str, depth: int, *, nfc: bool = True) -> object:
    """Copy *value* and refuse what orjson lets through; errors name the path."""
    if depth > _MAX_DEPTH:
        raise _refusal(path, value, f"nested deeper than {_MAX_DEPTH}")
    match value:
        case None | True | False:
            return value
        case int() if type(value) is int:
            return _integer(value, path)
        case float() if type(value) is float:
            return _number(value, path)
        case str() if type(value) is str:
            return _text(value, path, nfc=nfc)
        case dict() if type(value) is dict:
            return _object(value, path, depth, nfc=nfc)
        case list() | tuple() if type(value) in (list, tuple):
            return [_normalise(item, f"{path}[{i}]", depth + 1, nfc=nfc) for i, item in enumerate(value)]
    return _normalise(_declared(value, path), path, depth + 1, nfc=nfc)


def _declared(value: object, path: str) -> object:
    try:
        return _encode(value)
    except Exception:  # noqa: BLE001  # the value's own code: a model, a mapping, a property
        # Not the exception's own text: a model's error may quote the payload.
        raise _refusal(path, value, f"{type(value).__name__} has no JSON form") from None


def _refusal(path: str, value: object, reason: str) -> PayloadInvalid:
    return PayloadInvalid(field=path, reason=reason, value_type=type(value).__name__)


def _integer(value: int, path: str) -> int:
    if not -(2**63) <= value < 2**64:
        raise _refusal(path, value, "integer beyond 64 bits; send it as a string")
    return value


def _number(value: float, path: str) -> float:
    if value != value or value in (float("inf"), float("-inf")):  # noqa: PLR0124  # only NaN differs from itself
        raise _refusal(path, value, "NaN and infinity are not JSON")
    return value + 0.0  # -0.0 + 0.0 is 0.0: equal numbers get one text


def _text(value: str, path: str, *, nfc: bool) -> str:
    try:
        value.encode()
    except UnicodeEncodeError:
        raise _refusal(path, value, "text with a lone surrogate") from None
    return unicodedata.normalize("NFC", value) if nfc else value


def _object(value: dict[object, object], path: str, depth: int, *, nfc: bool) -> dict[str, object]:
    clean: dict[str, object] = {}
    for name, item in value.items():
        if type(name) is not str:
            raise _refusal(path, name, f"key of type {type(name).__name__}, not text")
        clean_name = _text(name, path, nfc=nfc)
        if clean_name in clean:
            raise _refusal(path, name, "two keys that differ only in Unicode form")
        clean[clean_name] = _normalise(item, f"{path}.{name}" if path else name, depth + 1, nfc=nfc)
    return clean
