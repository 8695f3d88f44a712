"""Reads the prices of models from one variable of the environment."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, cast

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

if TYPE_CHECKING:
    from collections.abc import Mapping

#: US dollars for a million tokens. More is a mistake of the unit.
Dollars = Annotated[float, Field(strict=True, ge=0, le=1_000_000, allow_inf_nan=False)]
#: A share of the plain price.
Share = Annotated[float, Field(strict=True, ge=0, le=100, allow_inf_nan=False)]

_FORM = (
    'must be JSON such as {"gpt-6-luna": {"input": 0.1, "output": 0.5, "cached": 0.01}}: '
    'dollars for a million tokens; cached is optional, and so is "tiers": {"flex": 0.5}'
)


class ModelPrice(BaseModel):
    """What a million tokens of one model cost, in US dollars."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    input: Dollars
    output: Dollars
    #: Of input that the service has read before; without it as any other input.
    cached: Dollars | None = None
    #: What each tier of the service costs, as a share of these prices. One that is not named has no known
    #: price; without tiers all cost the same.
    tiers: dict[str, Share] | None = None


_PRICES = TypeAdapter(dict[str, ModelPrice])


def read_prices(given: object) -> Mapping[str, ModelPrice]:
    """Return the prices by the name of their model; *given* is JSON text, or prices that are read already.

    Raises:
        ValueError: names what is wrong, never the text itself.
    """
    if not isinstance(given, str):
        return cast("Mapping[str, ModelPrice]", given)
    try:
        return _PRICES.validate_json(given)
    except ValidationError as exc:
        error = exc.errors(include_input=False, include_context=False, include_url=False)[0]
    name = error["loc"][-1] if error["loc"] else ""
    if name in ModelPrice.model_fields:
        raise ValueError(f"{name} of a model: {error['msg']}")
    raise ValueError(_FORM)
