"""Checks payloads when a job is enqueued, so that a bad row costs nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from pydantic import BaseModel, ConfigDict, Field, StrictInt, StrictStr, ValidationError

from askonce.errors import PayloadInvalid

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

#: At least one character that is not white space.
Text = Annotated[StrictStr, Field(pattern=r"\S")]
Id = Text | StrictInt


class Payload(BaseModel):
    """A row that a task accepts."""

    # Rows carry more than a task needs. A field that the task does not know is part of the fingerprint only.
    model_config = ConfigDict(extra="allow")


def accepts(model: type[Payload]) -> Callable[[Mapping[str, object]], None]:
    """Return a check that raises PayloadInvalid for the first field that *model* refuses."""

    def check(payload: Mapping[str, object]) -> None:
        try:
            model.model_validate(dict(payload))
        except ValidationError as exc:
            error = exc.errors(include_input=False, include_url=False)[0]
            # The location of a union's error also names the member that was tried. The field comes first.
            raise PayloadInvalid(field=str(error["loc"][0]), reason=error["msg"]) from None

    return check
