"""Says which requests get an answer by name, and which one is next.

    script = {"ROW-7": ["503_bare", "chat_in_a_fence"], "ROW-8": ["401_openai", "*"]}

A request whose text contains ROW-7 gets the two answers one after the other, and every later one the ordinary
answer. With ``*`` at the end, the answer before it is given for ever.
"""

import threading
from collections import Counter
from collections.abc import Mapping, Sequence

from sandbox.outside.answers import Answer
from sandbox.outside.controls import BadSetting

_FOR_EVER = "*"


class Script:
    """The answers by name, and how many of each marker were given."""

    def __init__(self, answers: Mapping[str, Answer]) -> None:
        self._answers, self._given = answers, Counter[str]()
        self._lock = threading.Lock()

    def check(self, script: Mapping[str, Sequence[str]]) -> None:
        """Raise `BadSetting` if *script* names an answer that the file does not have."""
        for marker, names in script.items():
            for name in names:
                if name not in self._answers and name != _FOR_EVER:
                    raise BadSetting(f"script: {marker}: {name}: no such answer")

    def begin(self, script: Mapping[str, Sequence[str]]) -> None:
        """Give the answers of *script* from their start, see `check`."""
        self.check(script)
        with self._lock:
            self._given.clear()

    def next_for(self, text: str, script: Mapping[str, Sequence[str]]) -> Answer | None:
        """Return the answer to a request with this *text*; None for the ordinary one."""
        with self._lock:
            for marker, names in script.items():
                if marker not in text:
                    continue
                name = _at(names, self._given[marker])
                if name is not None:
                    self._given[marker] += 1
                    return self._answers[name]
        return None


def _at(names: Sequence[str], given: int) -> str | None:
    listed = [name for name in names if name != _FOR_EVER]
    if given < len(listed):
        return listed[given]
    return listed[-1] if listed and names[-1] == _FOR_EVER else None
