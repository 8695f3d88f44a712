"""How long looked-up things stay true, by their kind: what a cached function's namespace names."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping

#: Seconds for which an answer is fresh, by the kind of what is looked up.
KINDS: Final[Mapping[str, float]] = MappingProxyType(
    {
        "keywords": 86_400.0,
        "metrics": 43_200.0,
        "trends": 21_600.0,
        "local-info": 86_400.0,
        "forecast": 1_800.0,
        "rankings": 10.0,
        "default": 3_600.0,
    }
)


def kind_of(namespace: str) -> str:
    """Return the kind of a namespace: its first word, such as ``forecast`` of ``forecast.daily``."""
    first = namespace.replace(":", ".").replace("/", ".").partition(".")[0]
    return first.replace("_", "-").lower()
