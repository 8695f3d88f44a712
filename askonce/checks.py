"""Findings: what a check found, how severe it is, and what to do about it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal
from urllib.parse import urlsplit

from askonce.line import one_line

if TYPE_CHECKING:
    from collections.abc import Iterable

#: An ``error`` loses jobs or answers, so work must not start; an operator judges a ``warning``.
Severity = Literal["ok", "warning", "error"]

#: The name of the finding that a server cannot be reached. It means nothing for the server's settings.
REACHABLE = "reachable"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """One line of a check. It never carries a password, nor a whole URL, which may hold one."""

    severity: Severity
    #: What was checked: ``store``, ``broker``, ``times``, ...
    subject: str
    #: The check, a stable word: ``eviction``, ``persistence``, ...
    name: str
    text: str
    #: What to do; empty where nothing is wrong.
    cure: str = ""

    def __str__(self) -> str:
        """Return the finding as one line."""
        return f"{self.severity}: {self.line}"

    @property
    def line(self) -> str:
        """The same without its severity."""
        line = f"{self.subject}: {self.text}"
        # Servers and queues have names of their own.
        return one_line(f"{line}; {self.cure}" if self.cure else line)


def joined(findings: Iterable[Finding]) -> list[Finding]:
    """Join *findings* that differ only in their subject: one server may be both store and broker."""
    subjects: dict[Finding, list[str]] = {}
    for found in findings:
        subjects.setdefault(replace(found, subject=""), []).append(found.subject)
    return [replace(found, subject=" and ".join(names)) for found, names in subjects.items()]


def without_secrets(url: str) -> str:
    """Return *url* without user, password and query."""
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
