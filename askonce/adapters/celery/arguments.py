"""Turns the arguments of a call into a payload, so that ``f(1)`` and ``f(x=1)`` are one job."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any

from askonce.errors import PayloadInvalid
from askonce.key import normal_form

if TYPE_CHECKING:
    from collections.abc import Callable

    #: ``JobSpec.input``.
    Input = Callable[[Mapping[str, object]], object]


class Arguments:
    """What one body takes."""

    def __init__(self, body: Callable[..., object]) -> None:
        """Read the parameters of *body*."""
        self._body = body

    def bind(self, args: Any, kwargs: Mapping[str, object], *, whole: bool) -> dict[str, object]:
        """Return the payload of a call.

        With *whole* the call has all fields of the body and no others, and gets its defaults. Otherwise the
        spec's ``input`` chooses the fields later.

        Raises:
            PayloadInvalid: the call does not fit the body.
        """
        if not isinstance(kwargs, Mapping):
            raise PayloadInvalid(field="", reason=f"must be a mapping, not {type(kwargs).__name__}")
        if self._bound_name in kwargs:
            raise PayloadInvalid(field=self._bound_name, reason="is the task itself in the body")
        if not args and self._takes_any:
            return dict(kwargs)
        if whole:
            bound = _fitting(self._signature.bind, *args, **kwargs)
            bound.apply_defaults()
            return self._named(bound)
        # The row may have more fields than the task takes.
        named = self._named(_fitting(self._signature.bind_partial, *args))
        if twice := named.keys() & kwargs.keys():
            raise PayloadInvalid(field=min(twice), reason="given twice")
        return {**named, **kwargs}

    def read(self, choose: Input, row: Mapping[str, object]) -> dict[str, object]:
        """Return the fields that *choose* takes out of *row*.

        Raises:
            PayloadInvalid: they do not fit the body.
        """
        fields = normal_form(choose, row)
        if not self._takes_any:
            _fitting(self._signature.bind, **fields)
        return fields

    def _named(self, bound: inspect.BoundArguments) -> dict[str, object]:
        payload: dict[str, object] = {}
        for name, value in bound.arguments.items():
            kind = self._signature.parameters[name].kind
            if kind in (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.POSITIONAL_ONLY):
                raise PayloadInvalid(field=name, reason="a payload has named fields only")
            payload |= value if kind is inspect.Parameter.VAR_KEYWORD else {name: value}
        return payload

    @cached_property
    def _bound_name(self) -> str:
        """Return the name under which a bound body gets its task; empty for one that is not bound."""
        function = getattr(self._body, "__func__", None)
        return next(iter(inspect.signature(function).parameters), "") if function else ""

    @cached_property
    def _signature(self) -> inspect.Signature:
        return inspect.signature(self._body)

    @cached_property
    def _takes_any(self) -> bool:
        kinds = {parameter.kind for parameter in self._signature.parameters.values()}
        return kinds == {inspect.Parameter.VAR_KEYWORD}


def _fitting(
    bind: Callable[..., inspect.BoundArguments], /, *args: Any, **kwargs: Any
) -> inspect.BoundArguments:
    try:
        return bind(*args, **kwargs)
    except TypeError as exc:
        # inspect's own text names the parameter, never a value.
        raise PayloadInvalid(field="", reason=str(exc)) from None
