"""What a check found: how bad it is, about what, and what to do about it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Iterable

#: An ``error`` loses jobs or answers, so that work must not start; a ``warning`` is for a person to judge.
Severity = Literal["ok", "warning", "error"]

#: The name of the finding that a server cannot be spoken to: it says nothing about how the server is set.
REACHABLE = "reachable"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One line of a check. It never carries a password, nor a whole URL, which may hold one."""

    severity: Severity
    #: What was looked at: ``store``, ``broker``, ``times``, ...
    subject: str
    #: Which check it was, a stable word: ``eviction``, ``persistence``, ...
    name: str
    text: str
    #: What to do; empty where nothing is wrong.
    cure: str = ""

    def __str__(self) -> str:
        """Return the finding as one line."""
        return f"{self.severity}: {self.told}"

    @property
    def told(self) -> str:
        """The same without its severity."""
        told = f"{self.subject}: {self.text}"
        return f"{told}; {self.cure}" if self.cure else told


def joined(findings: Iterable[Finding]) -> list[Finding]:
    """Return *findings* with those that differ by their subject only as one: one server may be both."""
    subjects: dict[Finding, list[str]] = {}
    for found in findings:
        subjects.setdefault(replace(found, subject=""), []).append(found.subject)
    return [replace(found, subject=" and ".join(names)) for found, names in subjects.items()]


def without_secrets(url: str) -> str:
    """Return *url* as it may be shown: no user, no password, no query."""
    return ";".join(_shown(part) for part in url.split(";"))


def _shown(url: str) -> str:
    parts = urlsplit(url)
    hidden = f"{parts.scheme}://..."
    # An @ further on means that a password was not percent-encoded: host and port are parts of it then.
    if "@" in f"{parts.path}{parts.query}{parts.fragment}":
        return hidden
    try:
        port = f":{parts.port}" if parts.port else ""
    except ValueError:
        return hidden
    return f"{parts.scheme}://{parts.hostname or ''}{port}{parts.path}"
