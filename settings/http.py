"""Reads where the services are that jobs call: their URLs, and the proxies before them."""

from __future__ import annotations

from importlib.util import find_spec
from typing import TYPE_CHECKING, Annotated
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field

if TYPE_CHECKING:
    from collections.abc import Mapping


def _has_a_place(url: str) -> str:
    try:
        parts = urlsplit(url)
        is_place = bool((parts.hostname or "").encode("idna")) and parts.port != 0
    except ValueError:
        is_place = False
    if not is_place:
        raise ValueError("must have the name of a host, and no port or one from 1 to 65535")
    return url


HttpUrl = Annotated[str, Field(pattern=r"^https?://[^/\s]+"), AfterValidator(_has_a_place)]

_PROXIES = ("ALL_PROXY", "HTTP_PROXY", "HTTPS_PROXY")


def socks_proxies(environment: Mapping[str, str]) -> list[str]:
    """Return the variables of *environment* that name a SOCKS proxy, where its package is absent."""
    if find_spec("socksio") is not None:
        return []
    names = [name for upper in _PROXIES for name in (upper, upper.lower())]
    return [name for name in names if environment.get(name, "").startswith("socks")]
