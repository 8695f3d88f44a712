"""What each task accepts, checked where a job is asked for, so that a bad row costs nothing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

from pydantic import BaseModel, ConfigDict, Field, StrictInt, StrictStr, ValidationError

from askonce.errors import PayloadInvalid

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

# Something besides white space.
Text = Annotated[StrictStr, Field(pattern=r"\S")]
Id = Text | StrictInt


class _Accepted(BaseModel):
    # Rows carry more than a task needs; what it does not know is part of the fingerprint only.
    model_config = ConfigDict(extra="allow")


class OrderPayload(_Accepted):
    """A row of ``orders.enrich``."""

    order_id: Id
    cliente_id: Id


class CustomerPayload(_Accepted):
    """A row of ``customers.lookup``."""

    cliente_id: Id


class MeetingPayload(_Accepted):
    """A row of ``meetings.*``; date and customer make the key finer where they are known."""

    meeting_id: Id
    transcript: Text
    meet_date: Text | None = None
    customer_id: Id | None = None


def accepts(model: type[BaseModel]) -> Callable[[Mapping[str, object]], None]:
    """Return a check that raises PayloadInvalid for the first field that *model* refuses."""

    def check(payload: Mapping[str, object]) -> None:
        try:
            model.model_validate(dict(payload))
        except ValidationError as exc:
            error = exc.errors(include_input=False, include_url=False)[0]
            # A union reports the member that it tried as well: the field is the first part.
            raise PayloadInvalid(field=str(error["loc"][0]), reason=error["msg"]) from None

    return check
