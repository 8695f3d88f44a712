"""Joins the texts of the scripts. A server runs a script's whole text at each call, also what the call skips.

So a script gets those definitions only that it names: each one costs a tenth of a microsecond. Those of
``duplicate.lua`` and ``new.lua`` come first, and the others after them, because most calls end there.
Constants become numbers, and lists of numbers.
"""

from __future__ import annotations

import re
from importlib.resources import files
from typing import TYPE_CHECKING

from askonce import record
from askonce.adapters.redis.reply import lua_parts
from askonce.schedules import LINES_KEPT

if TYPE_CHECKING:
    from collections.abc import Collection

#: What the scripts take from ``record.py``: times become milliseconds.
_SECONDS = (
    "FLIGHT_KEPT",
    "QUARANTINE_KEPT",
    "TOMBSTONE_KEPT",
    "REASON_KEPT_FOR",
    "WAITERS_KEPT",
    "HANDED_OUT",
    "PROGRESS_SLACK",
    "LOOK_REST",
    "PAUSE_REST",
    "PAUSE_LOOK",
    "DAMAGED_REST",
    "MARK_KEPT",
)
_NUMBERS = (
    "LAYOUT",
    "MAX_RESENDS",
    "MAX_DOUBLINGS",
    "LOOKS",
    "CANCEL_LOOKS",
    "RESUMED_LOOKS",
    "MAX_COUNTERS",
    "MAX_SUMMED",
    "MAX_MARKS",
    "HISTORY_KEPT",
    "REASON_KEPT",
)
_VALUES: dict[str, int | str] = {name: int(getattr(record, name) * 1000) for name in _SECONDS}
_VALUES |= {name: getattr(record, name) for name in _NUMBERS}
_VALUES["LINES_KEPT"] = LINES_KEPT
_VALUES["BOUNDS"] = "{" + ", ".join(str(round(bound * 1000)) for bound in record.BOUNDS) + "}"
_CONSTANT = re.compile(rf"\b(?:{'|'.join(_VALUES)})\b")
#: Definitions, in the order in which they need each other.
_DEFINED = ("record", "tally", "ends", "marks", "pauses", "due", "schedule")
#: One definition at the top of a text, with the comment of the next one.
_DEFINITIONS = re.compile(r"^(?=local )", re.MULTILINE)
_NAME = re.compile(r"local (?:function )?(\w+)")
_COMMENT = re.compile(r"(?:^|(?<=\s))--.*")


def sources(verbs: tuple[str, ...], clock: str | None = None) -> dict[str, str]:
    """Return the texts of *verbs* and of the admissions; *clock* replaces the server's clock in tests."""
    own = (clock or _text("clock")) + "".join(map(_text, _DEFINED))
    shared = _Shared(own + with_numbers(lua_parts()) + "".join(map(_text, ("reply", "attach", "message"))))
    terms, first = _text("terms"), _text("duplicate") + _text("new")
    admit, publish = _text("admit"), _text("publish")
    texts = {verb: shared.before(_text(verb)) for verb in verbs}
    texts["admit"] = shared.before(terms + first, admit)
    before = terms + first + publish
    outside = shared.before(before).removesuffix(before)
    inside = shared.before(before, admit).removeprefix(outside + before)
    texts["publish"] = f"{outside}{terms}local function admit()\n{first}{inside}end\n{publish}"
    around = f"{_text('counts')}{terms}local function admit()\n{first}{admit}end\n{_text('publish_many')}"
    # Many jobs pay for it once.
    texts["publish_many"] = f"{_text('many')}{shared.needed_by(around)}{around}"
    return texts


class _Shared:
    """The definitions that the scripts share, in their order."""

    def __init__(self, text: str) -> None:
        blocks = [block for block in _DEFINITIONS.split(text) if _NAME.match(block)]
        self._blocks = {_NAME.match(block)[1]: block for block in blocks}  # type: ignore[index]  # filtered above
        self._needs = {name: _words(block) & self._blocks.keys() for name, block in self._blocks.items()}

    def before(self, *texts: str) -> str:
        """Return *texts*, each after what it needs and no text before it needed."""
        joined, defined = "", set[str]()
        for text in texts:
            joined += self.needed_by(text, defined) + text
            defined |= self._needed(text)
        return joined

    def needed_by(self, text: str, defined: Collection[str] = ()) -> str:
        """Return what *text* needs beside what is *defined*."""
        needed = self._needed(text)
        return "".join(b for name, b in self._blocks.items() if name in needed and name not in defined)

    def _needed(self, text: str) -> set[str]:
        needed, new = set[str](), _words(text) & self._blocks.keys()
        while new:
            needed |= new
            new = {name for known in new for name in self._needs[known]} - needed
        return needed


def _words(text: str) -> set[str]:
    return set(re.findall(r"\w+", "\n".join(_COMMENT.sub("", line) for line in text.splitlines())))


def with_numbers(text: str) -> str:
    """Return *text* with the values of its constants, as the server gets it."""
    return _CONSTANT.sub(lambda found: str(_VALUES[found[0]]), text)


def _text(name: str) -> str:
    return with_numbers((files("askonce.adapters.redis") / "lua" / f"{name}.lua").read_text())
