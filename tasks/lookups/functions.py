"""Look-ups as plain cached functions: for web requests and scripts, beside the tasks.

They are fresh for as long as their kinds are: ``CACHE_TTL_FORECAST`` and such. ``use`` chooses their store.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from askonce.answer import Codec
from askonce.functions import cached_json, configure
from askonce.log import log_event
from askonce.store_down.cache import LocalCache
from settings.servers import new_store

if TYPE_CHECKING:
    from askonce.events import Listener
    from settings.environment import Settings
    from tasks.providers.http import HttpLookup

Row = dict[str, object]


def use(settings: Settings, listen: Listener = log_event) -> None:
    """Keep the answers of this process's functions on the store that *settings* name."""
    max_bytes = int(settings.cache_max_memory_mb * 1_000_000)
    configure(
        lambda: new_store(settings, listen=listen),
        ttl=settings.ttl_of_kinds(),
        listen=listen,
        codec=Codec(compress_from=settings.cache_compression_threshold),
        local_cache=lambda: LocalCache(max_bytes=max_bytes, ttl=settings.cache_fallback_ttl),
        lease=settings.job_lease,
    )


@cached_json("forecast", stale_if_error=86_400, ignore=("service",))
def forecast(service: HttpLookup, city: str, days: int = 3) -> Row:
    """Return the forecast of *city*; the last good one for a day while the service fails."""
    return service.fetch("lookups", "forecast", f"{city}, {days} days")


@cached_json("local-info", ignore=("service",))
def local_info(service: HttpLookup, place: str) -> Row:
    """Return what is known of *place*."""
    return service.fetch("lookups", "local-info", place)


@cached_json("keywords", stale_while_revalidate=3_600, ignore=("service",))
async def keywords(service: HttpLookup, seed: str, language: str = "pt") -> Row:
    """Return the keywords of *seed*; those of the last day while they are looked up anew."""
    return await asyncio.to_thread(service.fetch, "lookups", "keywords", f"{seed} ({language})")


@cached_json("rankings", local_ttl=2, ignore=("service",))
async def rankings(service: HttpLookup, word: str) -> Row:
    """Return the rankings of *word*, which change every few seconds."""
    return await asyncio.to_thread(service.fetch, "lookups", "rankings", word)
