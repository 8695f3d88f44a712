"""Reads the fields that a task uses out of a row when a job is enqueued, so that a bad row costs nothing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated

from pydantic import BaseModel, BeforeValidator, ConfigDict, ValidationError
from pydantic_core import PydanticCustomError

from askonce.errors import PayloadInvalid
from askonce.fields import as_id, as_lines, as_time, is_blank

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping


def _by(read: Callable[[object], str]) -> BeforeValidator:
    """Return *read* as pydantic wants it: its error then names the field."""

    def validate(value: object) -> str:
        try:
            return read(value)
        except PayloadInvalid as exc:
            raise PydanticCustomError("payload", "{reason}", {"reason": exc.reason}) from None

    return BeforeValidator(validate)


def _as_it_is(value: object) -> str:
    if not isinstance(value, str) or is_blank(value):
        raise PayloadInvalid(field="", reason="must be text that is not blank")
    return value


#: 7 and "7" are one id.
Id = Annotated[str, _by(as_id)]
#: An instant, or another text such as a date.
When = Annotated[str, _by(as_time)]
#: Lines of text; the kind of their ends does not count.
Lines = Annotated[str, _by(as_lines)]
#: Text as it is; not blank.
Text = Annotated[str, _by(_as_it_is)]


class _Shown:
    """Marks a field that monitors and logs may show."""


#: ``Annotated[Id, SHOWN]``: an id, and nothing that a customer wrote.
SHOWN = _Shown()


class Payload(BaseModel):
    """The fields that a task uses. Rows carry more: the task gets none of that."""

    model_config = ConfigDict(extra="ignore")

    @classmethod
    def shown(cls) -> tuple[str, ...]:
        """Return the fields that monitors and logs may show: the ``shown`` of a spec."""
        return tuple(name for name, field in cls.model_fields.items() if SHOWN in field.metadata)


@dataclass(frozen=True, slots=True)
class Input:
    """Reads the fields of *model* out of a row: the ``input`` of a spec."""

    model: type[Payload]

    def __call__(self, row: Mapping[str, object]) -> dict[str, object]:
        """Return the fields in their normal form.

        Raises:
            PayloadInvalid: names each field that the model refuses, never a value.
        """
        try:
            found = self.model.model_validate(row if type(row) is dict else dict(row))
        except ValidationError as exc:
            errors = exc.errors(include_input=False, include_url=False)
            raise PayloadInvalid.of({str(error["loc"][0]): error["msg"] for error in errors}) from None
        return found.model_dump(exclude_none=True)

    @property
    def fields(self) -> tuple[str, ...]:
        """All fields that the task uses."""
        return tuple(self.model.model_fields)

    @property
    def required(self) -> tuple[str, ...]:
        """The fields without which no row is accepted."""
        return tuple(name for name, field in self.model.model_fields.items() if field.is_required())


def input_of(model: type[Payload]) -> Input:
    """Return the ``input`` of a spec whose rows have the fields of *model*."""
    return Input(model)


def add_to_row(row: Mapping[str, object], found: object) -> object:
    """Return the caller's row with what was found; the ``present`` of a spec."""
    if not isinstance(found, dict):
        raise TypeError("what was found must be an object")
    return {**row, **found}
