"""Decides how long the answers of a function are good: by its decorator, or by what its namespace names."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from askonce.kinds import kind_of
from askonce.spec import LONGEST, MOST_ATTEMPTS, SHORTEST, JobSpec, RetryPolicy

if TYPE_CHECKING:
    from collections.abc import Mapping

#: Seconds, at most, for which a call that failed is left alone while there is a stale answer to serve.
_REST: Final = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Times:
    """The times of one function as its decorator has them; in seconds, None where it leaves one out."""

    #: Names the function in errors.
    function: str
    ttl: float | None = None
    keep: float | None = None
    stale_while_revalidate: float = 0.0
    stale_if_error: float | None = None
    local_ttl: float = 0.0

    def __post_init__(self) -> None:
        """Refuse a time that cannot work, in one line.

        Raises:
            ValueError: names the function and the argument.
        """
        for name in ("ttl", "keep"):
            if getattr(self, name) is not None:
                self._require(name, SHORTEST)
        for name in ("stale_while_revalidate", "local_ttl"):
            self._require(name, 0.0)
        if self.stale_if_error is not None:
            self._require("stale_if_error", 0.0)
        if self.ttl is not None:
            self._require_kept(self.ttl)

    def spec(
        self, name: str, version: str, kinds: Mapping[str, float], namespace: str, lease: float = 30.0
    ) -> JobSpec:
        """Return the terms of the function's jobs; without a ``ttl``, *kinds* has that of its namespace.

        Raises:
            ValueError: names the function and the argument.
        """
        fresh = self.ttl
        if fresh is None:
            fresh = kinds.get(kind_of(namespace), kinds["default"])
            self._require_kept(fresh)
        kept = self.keep
        if kept is None:
            kept = min(LONGEST, fresh + max(self.stale_while_revalidate, self.stale_if_error or 0.0))
        return JobSpec(
            name=name,
            version=version,
            soft_ttl=fresh,
            hard_ttl=kept,
            # Nothing that a function raises is kept.
            failure_ttl=SHORTEST,
            lease=lease,
            stale_while_revalidate=self.stale_while_revalidate,
            stale_if_error=self.stale_if_error,
            retry=_retry(_REST if kept > fresh else SHORTEST),
            park_for=0.0,
            on_store_down="local",
        )

    def _require(self, name: str, least: float) -> None:
        seconds: object = getattr(self, name)
        number = seconds if isinstance(seconds, int | float) and not isinstance(seconds, bool) else -1.0
        # NaN is within no limits.
        if not least <= number <= LONGEST:
            said = f"{self.function}: {name} must be {least:g} to {LONGEST:.0f} seconds, not {seconds!r}"
            raise ValueError(said)

    def _require_kept(self, fresh: float) -> None:
        if self.keep is None:
            return
        if self.keep < fresh:
            raise ValueError(f"{self.function}: keep must not be shorter than ttl, which is {fresh:g} s")
        for name in ("stale_while_revalidate", "stale_if_error"):
            if fresh + (getattr(self, name) or 0.0) > self.keep:
                raise ValueError(f"{self.function}: {name} must end within keep, which is {self.keep:g} s")


def _retry(rest: float) -> RetryPolicy:
    """Return how often a call is made: its error ends it (``ask.py``), and it *rests* at most so long then.

    An attempt that ended with its process, which was killed, is followed by that of the next caller.
    """
    return RetryPolicy(max_attempts=MOST_ATTEMPTS, base=rest, cap=rest, on_give_up="backoff")
