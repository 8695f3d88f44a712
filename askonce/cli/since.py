"""The option ``--since``: a moment, as a date, a time or a span before now."""

from __future__ import annotations

import re
import time
from datetime import UTC, datetime

import click

_SPAN = re.compile(r"(\d{1,5})([dhm])")
_SECONDS = {"d": 86_400, "h": 3_600, "m": 60}


class Since(click.ParamType[float]):
    """Seconds since 1970; a date or time without a zone is in UTC."""

    name = "since"

    def convert(
        self, value: str | float, param: click.Parameter | None, context: click.Context | None
    ) -> float:
        """Return the moment that *value* names."""
        if not isinstance(value, str):
            return value
        if span := _SPAN.fullmatch(value):
            return time.time() - int(span[1]) * _SECONDS[span[2]]
        try:
            moment = datetime.fromisoformat(value)
        except ValueError:
            text = f"{value!r} is no date (2026-11-27), time (2026-11-27T16:40) or span (7d, 24h, 30m)"
            self.fail(text, param, context)
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()


SINCE = Since()
