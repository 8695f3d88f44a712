"""Decides when two payloads are the same question: canonical JSON, key and fingerprint.

The canonical form is JSON as the worker will see it, with sorted keys and NFC strings: ``1``,
``"1"``, ``1.0`` and ``true`` differ, a ``datetime`` equals its UTC ISO form, NaN does not exist.
orjson writes it; the rare inputs on which orjson is lenient (NaN becomes null, -0.0 keeps its
sign, strings keep their normal form) are noticed in its output and take the slow, strict path.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping
from datetime import UTC, date, datetime, time
from decimal import Decimal
from enum import Enum
from functools import lru_cache
from hashlib import sha256
from math import copysign, isfinite
from types import NoneType
from typing import TYPE_CHECKING, NamedTuple
from uuid import UUID

import orjson

from askonce.errors import PayloadInvalid

if TYPE_CHECKING:
    from askonce.spec import JobSpec

#: Part of every key: raise it when the canonical form changes.
KEY_LAYOUT = 1
#: orjson itself refuses to nest deeper than 254.
MAX_DEPTH = 250

_STRICT = orjson.OPT_PASSTHROUGH_DATETIME | orjson.OPT_PASSTHROUGH_DATACLASS | orjson.OPT_PASSTHROUGH_SUBCLASS
_CANONICAL = _STRICT | orjson.OPT_SORT_KEYS
_NEVER_LENIENT = frozenset((str, int, bool, NoneType))


class Identity(NamedTuple):
    """The key of a job, the digest of its payload, and the canonical payload itself."""

    key: str
    fingerprint: str
    payload: bytes
    tenant: str = ""


def identify(spec: JobSpec, payload: Mapping[str, object], tenant: str = "") -> Identity:
    """Name the question that *payload* asks; the payload is serialised and hashed once.

    Raises:
        PayloadInvalid: names the field that has no canonical form, or the size.
    """
    if type(payload) is not dict and not isinstance(payload, Mapping):
        raise PayloadInvalid(field="", reason=f"must be an object, not {type(payload).__name__}")
    canonical = to_json(payload, canonical=True)
    if len(canonical) > spec.max_payload_bytes:
        raise PayloadInvalid(field="", reason=f"{len(canonical)} bytes, more than {spec.max_payload_bytes}")
    if spec.validate is not None:
        spec.validate(payload)
    fingerprint = sha256(canonical).hexdigest()
    identity = identity_of(spec, payload)
    # A payload that is its own identity stands in the key by its digest: it is hashed once, and a
    # string is never the object that key fields make.
    made_of = b'"%b"' % fingerprint.encode() if identity is None else identity
    key = sha256(b"%b,%b]" % (_prefix(tenant, spec.name, spec.version), made_of)).hexdigest()
    return Identity(key, fingerprint, canonical, tenant)


@lru_cache(maxsize=1024)
def _prefix(tenant: str, name: str, version: str) -> bytes:
    return orjson.dumps([KEY_LAYOUT, tenant, name, version])[:-1]


def edition_of(version: str, tenant: str = "") -> str:
    """Return what parts keys of one task besides the payload, as one word that messages and records carry."""
    return f"{version}\n{tenant}" if tenant else version


def split_edition(edition: str) -> tuple[str, str]:
    """Return the version and the tenant that ``edition_of`` joined."""
    version, _, tenant = edition.partition("\n")
    return version, tenant


def identity_of(spec: JobSpec, payload: Mapping[str, object]) -> bytes | None:
    """Return the canonical JSON of the key fields; None where one is missing, and all of it counts."""
    fields = {}
    for name in spec.key_fields:
        if payload.get(name) is None:
            return None
        fields[name] = payload[name]
    return to_json(fields, canonical=True) if fields else None


def to_json(value: object, *, canonical: bool = False) -> bytes:
    """Serialise *value* strictly: what JSON can not say is an error, never a silent null.

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
    # Most payloads are flat: their few types are looked at sooner than their many bytes.
    flat = type(value) is dict and _NEVER_LENIENT.issuperset(map(type, value.values()))
    if not flat and (b"null" in text or b"-0.0" in text) and not _is_plain(value):
        return True
    return canonical and not text.isascii() and not unicodedata.is_normalized("NFC", text.decode())


def _is_plain(value: object) -> bool:
    """Tell whether no float in *value* is one that orjson writes too kindly; unsure is no."""
    if type(value) in _NEVER_LENIENT:
        return True
    if type(value) is float:
        return isfinite(value) and (value != 0 or copysign(1.0, value) > 0)
    if type(value) is dict:
        return all(map(_is_plain, value.values()))
    return type(value) is list and all(map(_is_plain, value))


def _encode(value: object) -> object:
    """Turn a declared type into JSON; orjson asks for what it does not know itself."""
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
    dump = getattr(value, "model_dump", None)
    if callable(dump):
        return dump(mode="json")
    raise TypeError(f"{type(value).__name__} has no JSON form")


def _normalise(value: object, path: str, depth: int, *, nfc: bool = True) -> object:
    """Walk *value* as orjson would, refusing what it lets through; errors name the path."""
    if depth > MAX_DEPTH:
        raise PayloadInvalid(field=path, reason=f"nested deeper than {MAX_DEPTH}")
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
    except (TypeError, ValueError):
        # Not the exception's own text: a model's error may quote the payload.
        raise PayloadInvalid(field=path, reason=f"{type(value).__name__} has no JSON form") from None


def _integer(value: int, path: str) -> int:
    if not -(2**63) <= value < 2**64:
        raise PayloadInvalid(field=path, reason="integer beyond 64 bits; send it as a string")
    return value


def _number(value: float, path: str) -> float:
    if value != value or value in (float("inf"), float("-inf")):  # noqa: PLR0124  # only NaN differs from itself
        raise PayloadInvalid(field=path, reason="NaN and infinity are not JSON")
    return value + 0.0  # -0.0 + 0.0 is 0.0: equal numbers get one text


def _text(value: str, path: str, *, nfc: bool) -> str:
    try:
        value.encode()
    except UnicodeEncodeError:
        raise PayloadInvalid(field=path, reason="text with a lone surrogate") from None
    return unicodedata.normalize("NFC", value) if nfc else value


def _object(value: dict[object, object], path: str, depth: int, *, nfc: bool) -> dict[str, object]:
    clean: dict[str, object] = {}
    for name, item in value.items():
        if type(name) is not str:
            raise PayloadInvalid(field=path, reason=f"key of type {type(name).__name__}, not text")
        clean_name = _text(name, path, nfc=nfc)
        if clean_name in clean:
            raise PayloadInvalid(field=path, reason="two keys that differ only in Unicode form")
        clean[clean_name] = _normalise(item, f"{path}.{name}" if path else name, depth + 1, nfc=nfc)
    return clean
