"""What the tokens of one reply cost, in US dollars: by the operator's own prices, or by OpenAI's list.

A server of one's own has no list price, whatever it calls its model: only ``LLM_PRICES`` knows it. What
cannot be known is None, never 0.
"""

from __future__ import annotations

from fractions import Fraction
from typing import TYPE_CHECKING, Final

from settings.environment import is_openai

if TYPE_CHECKING:
    from collections.abc import Mapping

    from settings.environment import Settings
    from settings.prices import ModelPrice

_MILLION: Final = 1_000_000


class Prices:
    """The prices of one service."""

    def __init__(self, settings: Settings) -> None:
        """Use ``LLM_PRICES``; the list of OpenAI's prices where the service is OpenAI itself."""
        self._own, self._asked = settings.llm_prices, settings.openai_model
        self._is_listed = is_openai(settings.openai_base_url)

    def of(self, usage: Mapping[str, int], *, model: object, tier: object) -> float | None:
        """Return the price of *usage* by the *model* that answered, billed by *tier*."""
        # A service may answer under a longer name than the one that it was asked for.
        if not usage.get("input_tokens"):
            # No question has no tokens: a proxy writes 0 for what its service did not count.
            return None
        own = self._own.get(str(model)) or self._own.get(self._asked)
        if own is not None:
            return _own_price(own, usage)
        return _list_price(usage, str(model), tier) if self._is_listed else None


def _own_price(price: ModelPrice, usage: Mapping[str, int]) -> float | None:
    read, written, cached = map(usage.get, ("input_tokens", "output_tokens", "cached_tokens"))
    if read is None or written is None or (cached or 0) > read:
        return None
    again = cached or 0
    cheaper = price.input if price.cached is None else price.cached
    amounts = ((read - again, price.input), (again, cheaper), (written, price.output))
    # The shortest text of a float is the price that was meant.
    return float(sum(tokens * Fraction(repr(dollars)) for tokens, dollars in amounts) / _MILLION)


def _list_price(usage: Mapping[str, int], model: str, tier: object) -> float | None:
    from genai_prices import Usage, calc_price

    try:
        spent = Usage(
            input_tokens=usage["input_tokens"],
            output_tokens=usage["output_tokens"],
            cache_read_tokens=usage.get("cached_tokens"),
            cache_write_tokens=usage.get("cache_write_tokens"),
        )
        context = {"service_tier": tier} if isinstance(tier, str) else None
        return float(calc_price(spent, model, provider_id="openai", price_context=context).total_price)
    except Exception:  # noqa: BLE001  # whatever a price list makes of odd counts, the answer is paid
        return None
