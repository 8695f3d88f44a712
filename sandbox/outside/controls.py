"""Decides when a call to a stand-in continues and whether it fails; its settings change while calls run."""

import hashlib
import json
import threading
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace

from sandbox.outside.ledger import Call

_MALFORMED_SEED = 2_000_003  # another seed: a call that did not fail must not be malformed by the same draw


class BadSetting(ValueError):
    """A setting is unknown or its value is not valid."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """How the stand-ins behave.

    Attributes:
        latency: Seconds a customer lookup takes.
        llm_latency: Seconds a model call takes.
        failure_rate: Share of customer lookups that fail, 0 to 1.
        llm_failure_rate: Share of model calls that fail, 0 to 1.
        llm_malformed_rate: Share of the model's answers that are cut in half, 0 to 1; they are paid.
        hold: While this is true, calls wait; their latency begins afterwards.
        seed: Selects the calls that fail.
    """

    latency: float = 0.0
    llm_latency: float = 0.0
    failure_rate: float = 0.0
    llm_failure_rate: float = 0.0
    llm_malformed_rate: float = 0.0
    hold: bool = False
    seed: int = 1

    def changed(self, wanted: Mapping[str, object]) -> "Settings":
        """Return settings with the wanted values; raise `BadSetting` with the name of an invalid one."""
        for name, value in wanted.items():
            _check(name, value)
        return replace(self, **wanted)  # type: ignore[arg-type] # each one was checked on the line above


class Controls:
    """The current settings, and the gate that holds calls."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._held = 0
        self._moved = threading.Condition()
        self._never = threading.Event()

    def change(self, wanted: Mapping[str, object]) -> None:
        """Change settings, also for calls that wait; on `BadSetting` change none of them."""
        with self._moved:
            self._settings = self._settings.changed(wanted)
            self._moved.notify_all()

    def state(self, *, held: int = 0, seconds: float = 0.0) -> dict[str, object]:
        """Return the settings and the number of held calls, when it reaches `held` or after `seconds`."""
        with self._moved:
            self._moved.wait_for(lambda: self._held >= held, timeout=seconds)
            return {**asdict(self._settings), "held": self._held}

    def let_through(self, call: Call) -> bool:
        """Hold the call, wait for its latency, and return whether it succeeds."""
        with self._moved:
            self._held += 1
            self._moved.notify_all()
            self._moved.wait_for(lambda: not self._settings.hold)
            self._held -= 1
            now = self._settings
        model = call.service == "openai"
        self._never.wait(now.llm_latency if model else now.latency)
        return luck(now.seed, call) >= (now.llm_failure_rate if model else now.failure_rate)

    def malforms(self, call: Call) -> bool:
        """Return whether the answer to the call is malformed."""
        with self._moved:
            return luck(_MALFORMED_SEED, call) < self._settings.llm_malformed_rate


def luck(seed: int, call: Call) -> float:
    """Draw from 0 to 1. Equal seed, content and `nth` give an equal draw; a retry has another `nth`."""
    drawn = hashlib.sha256(json.dumps([seed, call.service, call.content, call.nth]).encode()).digest()
    return int.from_bytes(drawn[:8]) / 2**64


def _check(name: str, value: object) -> None:
    kinds = {field.name: field.type for field in fields(Settings)}
    match kinds.get(name):
        case None:
            raise BadSetting(f"{name}: no such setting; the settings are {', '.join(kinds)}")
        case kind if kind is bool:
            valid = isinstance(value, bool)
        case _:
            is_number = isinstance(value, (int, float)) and not isinstance(value, bool)
            valid = is_number and 0 <= float(str(value)) <= (1 if name.endswith("_rate") else float("inf"))
    if not valid:
        raise BadSetting(f"{name}: {value!r} is not a valid value")
