"""Reads how many requests a service still allows, from the ``x-ratelimit-*`` headers of any of its answers.

x-ratelimit-limit-requests: 60   x-ratelimit-remaining-requests: 59   x-ratelimit-reset-requests: 6m0s
"""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Final

from askonce.pace import Allowance

if TYPE_CHECKING:
    from collections.abc import Mapping

#: Seconds of one unit, in the order in which a time names them.
_UNITS: Final = {"d": 86_400.0, "h": 3_600.0, "m": 60.0, "s": 1.0, "ms": 0.001, "us": 0.000_001}
_TIME: Final = re.compile(r"(?:\d+(?:\.\d+)?(?:ms|us|[dhms]))+")
_STEP: Final = re.compile(r"(\d+(?:\.\d+)?)(ms|us|[dhms])")
#: Characters: no number or time is longer.
_LONGEST: Final = 40


def parse_allowance(headers: Mapping[str, str]) -> Allowance | None:
    """Return how many requests *headers* allow; None where they do not say all of it.

    A limit of 0 or less is unknown: Azure sends 0 and -1 for what it does not count.
    """
    named = {name.lower(): value for name, value in headers.items()}
    limit = _number(named.get("x-ratelimit-limit-requests", ""))
    remaining = _number(named.get("x-ratelimit-remaining-requests", ""))
    reset = _seconds(named.get("x-ratelimit-reset-requests", ""))
    if not limit or remaining is None or reset is None:
        return None
    return Allowance(limit, remaining, reset)


def _number(text: str) -> float | None:
    try:
        number = float(text) if len(text) <= _LONGEST else -1.0
    except ValueError:
        return None
    return number if math.isfinite(number) and number >= 0 else None


def _seconds(text: str) -> float | None:
    """Return the seconds of a time such as ``6m0s`` or ``12ms``, or of a plain number of them."""
    text = text.strip()
    if len(text) <= _LONGEST and _TIME.fullmatch(text):
        return sum(float(number) * _UNITS[unit] for number, unit in _STEP.findall(text))
    return _number(text)
