"""placeholder"""
from __future__ import annotations
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

Source = Literal["call", "cache", "stale", "default"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What a task body may return instead of a bare value.

    A *source* other than ``call`` marks a fallback: it reaches this job's waiters and is never kept
    as a fresh value.
    """

    value: object
    source: Source = "call"
    #: What the call cost; None is unknown, never 0.
    cost_usd: float | None = None
    #: Provider's counts, such as ``input_tokens``.
    usage: Mapping[str, int] = field(default_factory=dict)
