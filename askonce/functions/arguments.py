"""Decides which calls of a function are the same: its bound arguments are the payload of its job."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Annotated, Any, Final, get_args, get_origin, get_type_hints

from askonce.errors import PayloadInvalid
from askonce.job import Job, new_job_id
from askonce.key import identify

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from askonce.spec import JobSpec

#: What a framework puts in a parameter's default, or beside its type, where it passes the argument itself.
_INJECTED: Final = frozenset(("Depends", "Security"))
_FRAMEWORKS: Final = frozenset(("fastapi", "fast_depends", "faststream", "taskiq_dependencies"))
_OWNERS: Final = frozenset(("self", "cls"))
_MANY: Final = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
#: Jobs of one function whose arguments are known by their identity, and characters of a text among them.
_KNOWN_MOST, _KNOWN_TEXT = 1024, 200
_KNOWN_TYPES: Final = frozenset((str, int, float, bool, type(None)))


class Arguments:
    """The arguments of one function, and which of them make its key."""

    def __init__(self, function: Callable[..., object], ignore: tuple[str, ...]) -> None:
        """Leave out *ignore*, and what a framework injects.

        Raises:
            ValueError: a name of *ignore* is no parameter, or a method's own object would be part of the key.
        """
        self.name = f"{function.__module__}.{function.__qualname__}"
        self._signature = inspect.signature(function)
        parameters = self._signature.parameters
        if unknown := [name for name in ignore if name not in parameters]:
            raise ValueError(f"{self.name}: ignore names {unknown[0]!r}, which is no parameter")
        owner = next(iter(parameters), "")
        if owner in _OWNERS and owner not in ignore:
            raise ValueError(f"{self.name}: {owner} cannot be part of a key; say ignore=({owner!r},)")
        self._left_out = frozenset(ignore) | _injected(function, parameters)
        #: Only then is a call known by what was given: every value belongs to one parameter of the key.
        self._is_simple = not self._left_out and not _takes_many(parameters)
        self._known: dict[object, Job] = {}

    def job_of(self, spec: JobSpec, args: tuple[object, ...], kwargs: Mapping[str, object]) -> Job:
        """Return the job of a call; one of ``again`` is for each further call.

        Raises:
            TypeError: the arguments are not those of the function.
            PayloadInvalid: one of them cannot be part of a key; names the function and the argument.
        """
        if not self._is_simple:
            return self._identify(spec, args, kwargs)
        call = (*args, *kwargs.values()) if kwargs else args
        # With their types: 1, 1.0 and True are equal to Python.
        known: tuple[object, ...] = (call, *map(type, call))
        if kwargs:
            known = (len(args), *known, *kwargs)
        try:
            job = self._known.get(known)
        except TypeError:  # a list, for example
            return self._identify(spec, args, kwargs)
        if job is None:
            job = self._identify(spec, args, kwargs)
            if _is_small(call):
                if len(self._known) >= _KNOWN_MOST:
                    self._known.clear()
                self._known[known] = job
        return job

    def _identify(self, spec: JobSpec, args: tuple[object, ...], kwargs: Mapping[str, object]) -> Job:
        bound = self._signature.bind(*args, **kwargs)
        bound.apply_defaults()
        payload = {name: value for name, value in bound.arguments.items() if name not in self._left_out}
        try:
            return identify(spec, payload)
        except PayloadInvalid as invalid:
            data = {**invalid.data, "field": invalid.field or "arguments", "function": self.name}
            raise PayloadInvalid(data) from None


def _takes_many(parameters: Mapping[str, inspect.Parameter]) -> bool:
    return any(each.kind in _MANY for each in parameters.values())


def _is_small(values: tuple[object, ...]) -> bool:
    """Return whether *values* may be kept to know an equal call by them."""
    return _KNOWN_TYPES.issuperset(map(type, values)) and not any(
        type(value) is str and len(value) > _KNOWN_TEXT for value in values
    )


def again(job: Job) -> Job:
    """Return the job of one more call with the same arguments."""
    return job.under(new_job_id())


def _injected(function: Callable[..., object], parameters: Mapping[str, inspect.Parameter]) -> set[str]:
    hints = _hints_of(function)
    return {
        name
        for name, each in parameters.items()
        if _is_injected(each.default) or any(map(_is_injected, _beside(hints.get(name, each.annotation))))
    }


def _hints_of(function: Callable[..., object]) -> dict[str, Any]:
    try:
        return get_type_hints(function, include_extras=True)
    except Exception:  # noqa: BLE001  # names that exist for a type checker only
        return {}


def _beside(hint: object) -> tuple[object, ...]:
    return get_args(hint)[1:] if get_origin(hint) is Annotated else ()


def _is_injected(marker: object) -> bool:
    """Return whether *marker* is a framework's, without importing that framework."""
    return any(
        each.__name__ in _INJECTED and each.__module__.partition(".")[0] in _FRAMEWORKS
        for each in type(marker).__mro__
    )
