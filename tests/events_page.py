"""Makes docs/events.md from the list of events: ``python -m tests.events_page`` writes it."""

import re
from collections.abc import Mapping
from logging import getLevelName
from pathlib import Path
from types import NoneType

from askonce import events
from askonce.events import EventType

PAGE = Path(__file__).parents[1] / "docs" / "events.md"
HEAD = """# Events

This page answers: which events are there, at which level is each logged, and what does each carry?

An event is one thing that happened, mostly to one job. A listener of the app gets each of them
(`AskOnce(listen=...)`); by default each is one line in the [log](watching.md#logs), at its level. Names
and fields are public. `task`, `key` and `job` are fields of each event that is about a job: `job` is the
same in the producer, in the worker and in what the model's service is sent, so it joins the lines of one
job. No event carries a payload or an answer.

The last column is what caches call the event; it stands in the line as `also=`, and a search finds either
name. `also=cache_set` is in the line of a job whose answer was stored. A field that is not known is not
in the line. This page is made from `askonce/events.py`."""
SECTION = re.compile(r"    # (.+)")
COMMENT = re.compile(r"    #: (.+)")
MEMBER = re.compile(r"    ([A-Z_]+) = _Kind\(")
TYPES = {str: "text", float: "number", int: "whole number", bool: "true or false", tuple: "names and values"}


def page():
    """Return the text of the page."""
    return (
        "\n".join([HEAD, *_sections(Path(events.__file__).read_text(encoding="utf-8").splitlines())]) + "\n"
    )


def _sections(lines):
    """Yield the tables: a comment of the source begins each, and another one says what each event means."""
    said = []
    for line in lines[lines.index("class EventType(Enum):") :]:
        if found := COMMENT.fullmatch(line):
            said.append(found[1])
        elif found := MEMBER.match(line):
            yield _row(EventType[found[1]], " ".join(said))
            said = []
        elif found := SECTION.fullmatch(line):
            yield from [
                "",
                f"## {found[1].rstrip('.')}",
                "",
                "| event | level | fields | what happened | also |",
            ]
            yield "|---|---|---|---|---|"
        elif line.startswith("    def "):
            return


def _row(kind, said):
    words = re.sub(r"\*(\w+)\*", r"`\1`", said.replace("``", "`"))
    fields = "; ".join(f"`{name}` {_type(types)}" for name, types in kind.fields.items())
    also = f"`{kind.also}`" if kind.also else ""
    return f"| `{kind.value.name}` | {getLevelName(kind.level)} | {fields} | {words} | {also} |"


def _type(types):
    one = next(each for each in (types if isinstance(types, tuple) else (types,)) if each is not NoneType)
    return "counts" if one is Mapping else TYPES[one]


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
