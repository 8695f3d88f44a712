"""Checks a Redis or Valkey server: would it lose records, or the queue?

Nothing is written. Where the user may not run ``INFO`` or ``CONFIG``, the answer is unknown, which is a
warning: a worker needs neither.
"""

from __future__ import annotations

import re
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from redis.exceptions import AuthenticationError, RedisError, ResponseError
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError

from askonce.adapters.redis.servers import reason_of
from askonce.checks import REACHABLE, Finding, Severity

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from redis import Redis

#: Seconds for which a server may be late.
_PATIENCE = 2.0
#: The oldest Redis whose scripts may write after they read the time, and that has all our commands.
_OLDEST = (6, 2)
#: Of ``maxmemory``: beyond it, a burst of answers leads to refused writes.
_FULL = 0.7
#: A difference of so many seconds between the server's clock and ours does no harm.
_CLOCK_SLACK = 3.0
_NOT_PERMITTED = "unknown, this user may not ask"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Facts:
    """What a server reports; None for what this user may not query."""

    info: Mapping[str, Any] | None
    config: Mapping[str, str] | None
    #: Seconds that the server's clock is ahead of ours.
    clock_ahead: float | None


def check_server(
    client: Redis,
    *,
    subject: str,
    place: str,
    clustered: bool = False,
    clock: Callable[[], float] = time.time,
) -> list[Finding]:
    """Query the server behind *client* and judge its replies; takes at most 2 s and twice its timeouts.

    *subject* is the server's part (``store``, ``broker``), *place* its address without a password,
    *clustered* says that the server may be a node of a cluster. *clock* is in seconds since 1970.
    """
    try:
        facts = _read_patiently(client, clock)
    except (RedisError, OSError) as error:
        return [no_answer(subject, place, error)]
    judge = _Judge(subject, facts)
    return [
        judge.found("ok", REACHABLE, f"answers at {place}"),
        *judge.version(),
        *judge.role(),
        *judge.cluster(allowed=clustered),
        *judge.eviction(),
        *judge.memory(),
        *judge.persistence(),
        *judge.clock(),
    ]


def _read_patiently(client: Redis, clock: Callable[[], float]) -> _Facts:
    """Query until the server is in time.

    On a busy machine it may be late more than once: the store's client waits for 0.3 s only.
    """
    give_up_at = time.monotonic() + _PATIENCE
    while True:
        try:
            return _read_facts(client, clock)
        except RedisTimeoutError:
            if time.monotonic() >= give_up_at:
                break
        except RedisConnectionError:
            break
    # Once more: the first connection may have been an old one.
    return _read_facts(client, clock)


def _read_facts(client: Redis, clock: Callable[[], float] = time.time) -> _Facts:
    """Query what is needed, in three round trips.

    Raises:
        redis.exceptions.RedisError: the server does not answer, or refuses the login.
    """
    began = clock()
    time_of_server = _allowed(client.time)
    middle = (began + clock()) / 2
    ahead = time_of_server and time_of_server[0] + time_of_server[1] / 1e6 - middle
    info = _allowed(client.info)
    config = _allowed(lambda: client.config_get("save", "appendfsync"))
    return _Facts(info=info, config=config, clock_ahead=ahead)


def no_answer(subject: str, place: str, error: Exception) -> Finding:
    """Return the finding for a server that could not be queried; without the text of *error*."""
    if isinstance(error, AuthenticationError):
        text, cure = f"refuses the login at {place}", "correct the user or the password in its URL"
        return Finding(severity="error", subject=subject, name="login", text=text, cure=cure)
    text = f"does not answer at {place} ({reason_of(error)})"
    cure = "start it, or correct its URL"
    return Finding(severity="error", subject=subject, name=REACHABLE, text=text, cure=cure)


def _allowed(query: Callable[[], Any]) -> Any:  # noqa: ANN401  # as the command replies
    try:
        return query()
    except ResponseError:
        # Not permitted, or not there at all: hosted servers have no CONFIG.
        return None


class _Judge:
    """The checks of one server's facts."""

    def __init__(self, subject: str, facts: _Facts) -> None:
        self._subject, self._facts = subject, facts

    def found(self, severity: Severity, name: str, text: str, cure: str = "") -> Finding:
        return Finding(severity=severity, subject=self._subject, name=name, text=text, cure=cure)

    def _unknown(self, name: str, command: str, what: str) -> Finding:
        cure = f"allow {command}, or see to it that {what}"
        return self.found("warning", name, f"{name}: {_NOT_PERMITTED} {command}", cure)

    def _info(self, field: str) -> str:
        return str(cast("Mapping[str, Any]", self._facts.info).get(field, ""))

    def version(self) -> Iterator[Finding]:
        oldest = ".".join(map(str, _OLDEST))
        if self._facts.info is None:
            yield self._unknown("version", "INFO", f"the server is Redis {oldest} or newer, or Valkey")
            return
        # In redis_version Valkey gives the Redis version that it is compatible with.
        speaks, own = self._info("redis_version"), self._info("valkey_version")
        name = f"Valkey {own}" if own else f"Redis {speaks or 'of unknown version'}"
        known = re.match(r"(\d+)\.(\d+)", speaks)
        if known and tuple(map(int, known.groups())) >= _OLDEST:
            yield self.found("ok", "version", f"is {name}")
        else:
            cure = f"use Redis {oldest} or newer, or Valkey"
            yield self.found("error", "version", f"is {name}, which is not supported", cure)

    def role(self) -> Iterator[Finding]:
        if self._facts.info is not None and self._info("role") in ("slave", "replica"):
            text = "is a replica: it takes no writes, and its records may be old"
            yield self.found("error", "role", text, "name the primary in its URL")

    def cluster(self, *, allowed: bool) -> Iterator[Finding]:
        if self._facts.info is None or allowed or self._info("cluster_enabled") in ("", "0"):
            return
        text = "is a node of a cluster, which keeps keys on other nodes"
        yield self.found("error", "cluster", text, "use a server with cluster-enabled no")

    def eviction(self) -> Iterator[Finding]:
        policy = self._info("maxmemory_policy") if self._facts.info is not None else ""
        if not policy:
            yield self._unknown("eviction", "INFO", "maxmemory-policy is noeviction or volatile-ttl")
        elif policy.startswith("allkeys-"):
            text = f"evicts by {policy}, which drops records and the queue without a word"
            cure = "set maxmemory-policy to noeviction or volatile-ttl"
            yield self.found("error", "eviction", text, cure)
        else:
            yield self.found("ok", "eviction", f"maxmemory-policy is {policy}")

    def memory(self) -> Iterator[Finding]:
        if self._facts.info is None:
            return
        limit = int(self._info("maxmemory") or 0)
        share = int(self._info("used_memory") or 0) / limit if limit else 0.0
        if share > _FULL:
            text = f"uses {share:.0%} of its maxmemory; a full one refuses new jobs"
            yield self.found("warning", "memory", text, "raise maxmemory, or keep answers for a shorter time")

    def persistence(self) -> Iterator[Finding]:
        info, config = self._facts.info, self._facts.config
        appends = info is not None and self._info("aof_enabled") == "1"
        if config is None:
            yield self._unknown("persistence", "CONFIG GET", "appendonly is yes and appendfsync everysec")
        elif appends and config.get("appendfsync") == "no":
            text = "appends to its file, but leaves it to the system when that reaches the disk"
            yield self.found("warning", "persistence", text, "set appendfsync to everysec")
        elif appends:
            yield self.found("ok", "persistence", f"appendonly, appendfsync {config.get('appendfsync')}")
        elif config.get("save"):
            yield self.found("ok", "persistence", f"snapshots only, by save {config['save']}")
        else:
            text = "keeps nothing on disk: a restart loses records and the queue"
            yield self.found("warning", "persistence", text, "set appendonly to yes")

    def clock(self) -> Iterator[Finding]:
        ahead = self._facts.clock_ahead
        if ahead is not None and abs(ahead) > _CLOCK_SLACK:
            text = f"has a clock {abs(ahead):.0f} s {'ahead of' if ahead > 0 else 'behind'} this host's"
            cure = "set both by NTP: leases go by the server's clock, Celery's redelivery by the workers'"
            yield self.found("warning", "clock", text, cure)
