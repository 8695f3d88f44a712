"""What the tokens of a call cost, in US dollars: by the operator's own prices, or by OpenAI's list.

A server of one's own has no list price, whatever it calls its model: only ``LLM_PRICES`` knows it. What
cannot be known is None, never 0: an unknown model, and a tier that has no price of its own.

Workers read here what an answer cost, and producers what a call may cost: no client of a service is loaded.
"""

from __future__ import annotations

from fractions import Fraction
from functools import lru_cache
from math import ceil
from typing import TYPE_CHECKING, Final

from settings.environment import is_openai

if TYPE_CHECKING:
    from collections.abc import Mapping

    from genai_prices.types import ModelInfo

    from settings.environment import Settings
    from settings.prices import ModelPrice

_MILLION: Final = 1_000_000
#: The tier of a call that names none; every price without a tier is its price.
_PLAIN: Final = "default"
#: A number of tokens is rounded up to so many binary digits before its price is looked up and kept.
_DIGITS: Final = 5


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
            return _own_price(own, usage, tier)
        return _list_price(usage, str(model), tier) if self._is_listed else None

    def most(self, read: int, written: int) -> int | None:
        """Return the most that one call of so many tokens can cost, in millionths of a dollar, rounded up.

        In the dearest tier, and with its input as dear as input can be: written to the service's cache.
        """
        # The model that answers may have a price of its own, under a longer name.
        prices = [price for name, price in self._own.items() if name.startswith(self._asked)]
        bounds = [_most_by_own(price, read, written) for price in prices]
        if self._asked not in self._own:
            listed = self._most_listed(read, written)
            if listed is None:
                return None
            bounds.append(listed)
        return max(bounds)

    @property
    def context_window(self) -> int | None:
        """The most tokens of the model, input and output together, where OpenAI's list has it."""
        listed = _listed(self._asked) if self._is_listed else None
        return listed.context_window if listed else None

    def _most_listed(self, read: int, written: int) -> int | None:
        return _most_listed(self._asked, _coarse(read), _coarse(written)) if self._is_listed else None


def _own_price(price: ModelPrice, usage: Mapping[str, int], tier: object) -> float | None:
    read, written, cached = map(usage.get, ("input_tokens", "output_tokens", "cached_tokens"))
    share = _share(price, tier)
    if read is None or written is None or share is None or (cached or 0) > read:
        return None
    again = cached or 0
    cheaper = price.input if price.cached is None else price.cached
    amounts = ((read - again, price.input), (again, cheaper), (written, price.output))
    return float(share * sum(tokens * _exact(dollars) for tokens, dollars in amounts) / _MILLION)


def _share(price: ModelPrice, tier: object) -> Fraction | None:
    """Return what a *tier* costs as a share of the plain price; None where that is unknown."""
    if price.tiers is None or tier in (None, _PLAIN):
        return Fraction(1)
    named = price.tiers.get(tier) if isinstance(tier, str) else None
    return None if named is None else _exact(named)


def _exact(number: float) -> Fraction:
    # The shortest text of a float is the price that was meant.
    return Fraction(repr(number))


def _most_by_own(price: ModelPrice, read: int, written: int) -> int:
    dearest = max(price.input, price.cached or 0.0)
    share = max(1.0, *(price.tiers or {}).values()) if price.tiers else 1.0
    # Dollars for a million tokens are millionths of a dollar for one.
    return ceil(_exact(share) * (read * _exact(dearest) + written * _exact(price.output)))


def _list_price(usage: Mapping[str, int], model: str, tier: object) -> float | None:
    from genai_prices import Usage, calc_price

    if isinstance(tier, str) and tier not in _tiers(model):
        # The list would charge a tier that it does not know as the plain one.
        return None
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


@lru_cache(maxsize=64)
def _listed(model: str) -> ModelInfo | None:
    """Return what the list has of *model*."""
    from genai_prices import Usage, calc_price

    try:
        return calc_price(Usage(input_tokens=1, output_tokens=1), model, provider_id="openai").model
    except Exception:  # noqa: BLE001  # any text may be the name of a model
        return None


def _tiers(model: str) -> frozenset[str]:
    """Return the tiers of *model* that have a known price."""
    listed = _listed(model)
    variants = (listed.price_variants if listed else None) or ()
    return frozenset(
        {_PLAIN, *(each.when["service_tier"] for each in variants if "service_tier" in each.when)}
    )


@lru_cache(maxsize=4096)
def _most_listed(model: str, read: int, written: int) -> int | None:
    plain = {"input_tokens": read, "output_tokens": written}
    found = [
        _list_price(usage, model, tier)
        for usage in (plain, {**plain, "cache_write_tokens": read})
        for tier in _tiers(model)
    ]
    known = [price for price in found if price is not None]
    return ceil(max(_exact(price) for price in known) * _MILLION) if known else None


def _coarse(tokens: int) -> int:
    """Return *tokens*, rounded up by a sixteenth at most: so few numbers are looked up."""
    shift = max(0, tokens.bit_length() - _DIGITS)
    return -(-tokens >> shift) << shift
