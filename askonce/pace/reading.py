"""Reads what another process wrote on a board: in this version, in another one, or no such thing at all."""

from __future__ import annotations

from dataclasses import is_dataclass
from functools import cache
from types import UnionType
from typing import Any, Final, TypeVar, get_args, get_origin, get_type_hints

import orjson

T = TypeVar("T")

#: No number on a board is larger: sums of them stay numbers that JSON can hold.
_LARGEST: Final = 2.0**53


def read(kind: type[T], text: bytes) -> T | None:
    """Return the *kind* in *text*; None for something else. Fields of a newer version are left out."""
    try:
        found: T = _of_kind(kind, orjson.loads(text))
    except (TypeError, ValueError):
        return None
    return found


def _of_kind(kind: Any, value: Any) -> Any:  # noqa: ANN401  # any type, and what JSON holds
    """Return *value* as *kind*.

    Raises:
        TypeError, ValueError: it is of another kind.
    """
    if get_origin(kind) is UnionType:
        return None if value is None else _of_kind(get_args(kind)[0], value)
    if isinstance(value, dict):
        return _of_object(kind, value)
    if isinstance(value, list):
        return _of_list(kind, value)
    if kind is float and type(value) is int:
        value = float(value)
    if type(value) is not kind or (kind in (int, float) and abs(value) > _LARGEST):
        raise TypeError(kind)
    return value


def _of_object(kind: Any, value: dict[str, Any]) -> Any:  # noqa: ANN401  # as above
    if get_origin(kind) is dict:
        return {name: _of_kind(get_args(kind)[1], each) for name, each in value.items()}
    if not is_dataclass(kind):
        raise TypeError(kind)
    made: Any = kind
    hints = _hints(made)
    known = {name: _of_kind(of, value[name]) for name, of in hints.items() if name in value}
    return made(**known)


def _of_list(kind: Any, value: list[Any]) -> Any:  # noqa: ANN401  # as above
    if get_origin(kind) is list:
        return [_of_kind(get_args(kind)[0], each) for each in value]
    if get_origin(kind) is tuple:
        return tuple(_of_kind(of, each) for of, each in zip(get_args(kind), value, strict=True))
    if not hasattr(kind, "_fields"):
        raise TypeError(kind)
    of_fields = _hints(kind).values()
    return kind(*(_of_kind(of, each) for of, each in zip(of_fields, value, strict=True)))


@cache
def _hints(kind: Any) -> dict[str, Any]:  # noqa: ANN401  # a dataclass or a named tuple
    """Return the types of a kind's fields: Python compiles them anew each time, at most of the cost."""
    return get_type_hints(kind)
