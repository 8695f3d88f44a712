"""Starts, stops and kills the stand-ins as a process of their own, always at the same address."""

import json
import subprocess
import sys
import urllib.request
from collections.abc import Mapping
from dataclasses import fields
from pathlib import Path
from urllib.error import URLError

from sandbox.outside.controls import Settings
from sandbox.server import ROOT, Server, free_port

_SETTINGS = frozenset(each.name for each in fields(Settings))


class Outside(Server):
    """The stand-ins with their ledger in *folder*, a context manager.

    *options* are settings (`controls.py`) and other options of the command line (`stand_in.py`), for example
    ``{"llm_slots": 4, "answers": path}``.

    Where they are stopped, their port refuses connections. Started again, they have the ledger, and the
    settings as they were changed; a script begins from its start.
    """

    def __init__(self, folder: Path, options: Mapping[str, object]) -> None:
        own = {"ledger": folder, "port": free_port(), **options}
        self._flags = {name: value for name, value in own.items() if name not in _SETTINGS}
        self._settings = {name: value for name, value in own.items() if name in _SETTINGS}
        self._first: dict[str, object] = {}
        #: The address, without a path.
        self.url = f"http://127.0.0.1:{self._flags['port']}"

    def start(self) -> None:
        """Start them; return when they reply."""
        super().start()
        self._first = self._first or self._now()

    def reset(self) -> None:
        """Set every setting back to what it was at the first start, and count the most open calls anew."""
        self.control(**self._first, reset_most_open=True)

    def control(self, **changes: object) -> dict[str, object]:
        """Change settings; return them, and what goes on."""
        data = json.dumps(changes).encode() if changes else None
        with urllib.request.urlopen(f"{self.url}/control", data, timeout=60) as answer:  # noqa: S310  # our own server
            state = dict(json.load(answer))
        self._settings |= {name: value for name, value in changes.items() if name in _SETTINGS}
        return state

    def wait_for_held(self, calls: int, seconds: float) -> bool:
        """Wait until *calls* calls are held; return False after *seconds*."""
        url = f"{self.url}/control?held={calls}&seconds={seconds}"
        with urllib.request.urlopen(url, timeout=seconds + 60) as answer:  # noqa: S310  # our own server
            return int(json.load(answer)["held"]) >= calls

    def close(self) -> None:
        """Stop them for good."""
        self.stop()

    def _now(self) -> dict[str, object]:
        return {name: value for name, value in self.control().items() if name in _SETTINGS}

    def _run(self) -> subprocess.Popen[bytes]:
        flags = [part for name, value in self._flags.items() for part in (f"--{_dashed(name)}", str(value))]
        settings = ["--settings", json.dumps(self._settings)]
        command = [sys.executable, "-m", "sandbox.outside.stand_in", *flags, *settings]
        return subprocess.Popen(command, cwd=ROOT, stdout=subprocess.DEVNULL)

    def _answers(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.url}/healthz", timeout=5):  # noqa: S310  # our own server
                return True
        except (URLError, ConnectionError, TimeoutError):
            return False

    def _said(self) -> str:
        return "the stand-ins ended while they started, or did not reply in time"


def _dashed(name: str) -> str:
    return name.replace("_", "-")
