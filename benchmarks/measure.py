"""Runs contestants in turn, round after round, so that a slow minute of the machine hits them all."""

from __future__ import annotations

import time
from collections.abc import Callable
from statistics import median

Contestant = Callable[[], float]


def interleaved(contestants: dict[str, Contestant], rounds: int) -> dict[str, list[float]]:
    """Return each contestant's figure of every round, in the order of the rounds."""
    figures: dict[str, list[float]] = {name: [] for name in contestants}
    for _ in range(rounds):
        for name, run in contestants.items():
            figures[name].append(run())
    return figures


def per_second(call: Callable[[int], object], count: int) -> float:
    """Call *count* times; return calls a second."""
    began = time.perf_counter()
    for number in range(count):
        call(number)
    return count / (time.perf_counter() - began)


def ratio(figures: dict[str, list[float]], name: str, base: str) -> float:
    """Return the median over the rounds of *name* / *base*: each round is its own comparison."""
    return median(a / b for a, b in zip(figures[name], figures[base], strict=True))


def percentile(values: list[float], percent: int) -> float:
    """Return the smallest of *values* that *percent* of them are below."""
    return sorted(values)[len(values) * percent // 100]


class Table:
    """Prints lines and remembers which goal was missed."""

    def __init__(self) -> None:
        self.missed: list[str] = []

    def title(self, text: str) -> None:
        print(f"\n{text}")

    def line(self, name: str, figure: str, against: str, *, goal: str = "", met: bool = True) -> None:
        verdict = "" if not goal else f"goal {goal}: {'met' if met else 'MISSED'}"
        print(f"  {name:<46}{figure:>14}  {against:<24}{verdict}".rstrip(), flush=True)
        if goal and not met:
            self.missed.append(name)

    def at_least(self, name: str, found: float, goal: float, figure: str = "") -> None:
        self.line(name, figure, f"x {found:.2f}", goal=f">= {goal}", met=found >= goal)

    def at_most(self, name: str, found: float, goal: float, figure: str = "") -> None:
        self.line(name, figure, f"x {found:.2f}", goal=f"<= {goal}", met=found <= goal)

    def within(self, name: str, found: float, goal: float, unit: str, *, digits: int = 0) -> None:
        figure, most = f"{found:,.{digits}f} {unit}", f"{goal:,.{digits}f} {unit}"
        self.line(name, figure, "", goal=f"<= {most}", met=round(found, digits) <= goal)
