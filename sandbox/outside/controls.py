"""Decides when a call to a stand-in continues and whether it fails; its settings change while calls run."""

import hashlib
import json
import math
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from statistics import NormalDist

from sandbox.outside.ledger import Call
from sandbox.outside.limits import LOOK_SECONDS, ClientLeft, HasLeft

_ERROR_SEED = 3_000_017
_REASONING_SEED = 4_000_037
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
        llm_failure_rate: Share of model calls that are refused, 0 to 1; nothing is paid.
        llm_error_rate: Share of model calls that end with an error of the server, 0 to 1.
        llm_malformed_rate: Share of the model's answers that are cut in half, 0 to 1; they are paid.
        llm_reasoning: Tokens for which the model reasons before an answer; half of the answers have more.
        llm_reasoning_spread: How much that varies: the deviation of its natural logarithm, 0 for not at all.
        hold: While this is true, calls wait; their latency begins afterwards.
        seed: Selects the calls that fail.
        llm_requests_per_second: Model calls that are allowed each second, 0 for any number; the others are
            refused with 429.
        llm_burst: Calls that are allowed at once after a rest; 0 for as many as in a second.
        llm_retry_after: How that 429 says when to come back: "" not at all, "seconds", "date", or the number
            of seconds to say.
        llm_rate_headers: Whether replies have x-ratelimit headers.
        llm_slots: Model calls that are answered at the same time, 0 for any number. The others wait for a
            slot, first come first served, and `llm_latency` is the time in a slot. A client that closes its
            connection leaves the queue, or frees its slot: its call ends with status 499.
        llm_down: An outage: "refuse_503" is a 503 without Retry-After, "reset" and "close" end the connection
            before the first byte.
        llm_key: The only key that is valid; "" for any.
        llm_credit: Whether the account has credit.
        llm_models: The models that there are, all others are refused; none for any model.
        llm_lists_models: Whether there is GET /v1/models.
        script: The answers by name that requests get, see `script.py`.
    """

    latency: float = 0.0
    llm_latency: float = 0.0
    failure_rate: float = 0.0
    llm_failure_rate: float = 0.0
    llm_error_rate: float = 0.0
    llm_malformed_rate: float = 0.0
    llm_reasoning: float = 0.0
    llm_reasoning_spread: float = 0.0
    hold: bool = False
    seed: int = 1
    llm_requests_per_second: float = 0.0
    llm_burst: float = 0.0
    llm_retry_after: float | str = ""
    llm_rate_headers: bool = True
    llm_slots: int = 0
    llm_down: str = ""
    llm_key: str = ""
    llm_credit: bool = True
    llm_models: Sequence[str] = ()
    llm_lists_models: bool = True
    script: Mapping[str, Sequence[str]] = field(default_factory=dict)

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

    @property
    def settings(self) -> Settings:
        """The settings now."""
        return self._settings

    def change(self, wanted: Mapping[str, object], check: Callable[[Settings], None]) -> None:
        """Change settings, also for calls that wait; on `BadSetting`, also from *check*, change none."""
        with self._moved:
            settings = self._settings.changed(wanted)
            check(settings)
            self._settings = settings
            self._moved.notify_all()

    def state(self, *, held: int = 0, seconds: float = 0.0) -> dict[str, object]:
        """Return the settings and the number of held calls, when it reaches `held` or after `seconds`."""
        with self._moved:
            self._moved.wait_for(lambda: self._held >= held, timeout=seconds)
            return {**asdict(self._settings), "held": self._held}

    def let_through(self, call: Call, has_left: HasLeft | None = None) -> bool:
        """Hold the call, wait for its latency, and return whether it succeeds.

        Raises:
            ClientLeft: its client *has left*; without that function nobody looks.
        """
        with self._moved:
            self._held += 1
            self._moved.notify_all()
            try:
                self._wait_until(lambda: not self._settings.hold, has_left)
            finally:
                self._held -= 1
            now = self._settings
        model = call.service == "openai"
        self._rest(now.llm_latency if model else now.latency, has_left)
        return luck(now.seed, call) >= (now.llm_failure_rate if model else now.failure_rate)

    def breaks(self, call: Call) -> bool:
        """Return whether the model's server fails while it works on the call."""
        with self._moved:
            return luck(_ERROR_SEED, call) < self._settings.llm_error_rate

    def reasons_for(self, call: Call) -> int:
        """Return the tokens for which the model reasons before it answers the call."""
        with self._moved:
            now = self._settings
        if not now.llm_reasoning:
            return 0
        deviations = NormalDist().inv_cdf(min(max(luck(_REASONING_SEED + now.seed, call), 1e-9), 1 - 1e-9))
        return round(now.llm_reasoning * math.exp(now.llm_reasoning_spread * deviations))

    def _wait_until(self, condition: Callable[[], bool], has_left: HasLeft | None) -> None:
        seconds = None if has_left is None else LOOK_SECONDS
        while not self._moved.wait_for(condition, seconds):
            if has_left is not None and has_left():
                raise ClientLeft

    def _rest(self, seconds: float, has_left: HasLeft | None) -> None:
        end = time.monotonic() + seconds
        while (left := end - time.monotonic()) > 0:
            self._never.wait(left if has_left is None else min(left, LOOK_SECONDS))
            if has_left is not None and has_left():
                raise ClientLeft

    def malforms(self, call: Call) -> bool:
        """Return whether the answer to the call is malformed."""
        with self._moved:
            return luck(_MALFORMED_SEED, call) < self._settings.llm_malformed_rate


def luck(seed: int, call: Call) -> float:
    """Draw from 0 to 1. Equal seed, content and `nth` give an equal draw; a retry has another `nth`."""
    drawn = hashlib.sha256(json.dumps([seed, call.service, call.content, call.nth]).encode()).digest()
    return int.from_bytes(drawn[:8]) / 2**64


def _check(name: str, value: object) -> None:
    kinds = {each.name: each.type for each in fields(Settings)}
    if name not in kinds:
        raise BadSetting(f"{name}: no such setting; the settings are {', '.join(kinds)}")
    by_kind = _is_switch if kinds[name] is bool else _is_share if name.endswith("_rate") else _is_number
    if not _RULES.get(name, by_kind)(value):
        raise BadSetting(f"{name}: {value!r} is not a valid value")


def _is_number(value: object) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and value >= 0


def _is_share(value: object) -> bool:
    return _is_number(value) and float(str(value)) <= 1


def _is_switch(value: object) -> bool:
    return isinstance(value, bool)


def _is_text(value: object) -> bool:
    return isinstance(value, str)


def _are_texts(value: object) -> bool:
    return isinstance(value, (list, tuple)) and all(map(_is_text, value))


def _is_script(value: object) -> bool:
    return isinstance(value, dict) and all(map(_are_texts, value.values()))


_RULES: Mapping[str, Callable[[object], bool]] = {
    "llm_retry_after": lambda value: value in ("", "seconds", "date") or _is_number(value),
    "llm_slots": lambda value: _is_number(value) and isinstance(value, int),
    "llm_down": lambda value: value in ("", "refuse_503", "reset", "close"),
    "llm_key": _is_text,
    "llm_models": _are_texts,
    "script": _is_script,
}
