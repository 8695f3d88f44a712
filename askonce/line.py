"""Keeps text of strangers on the line, in the JSON or in the cell where it is written.

No character of a row, a message, a file's name or a server ends a line, moves a cursor or turns the direction
of writing: C0 with ESC, DEL, C1, the separators of lines, and what is not displayed at all.
"""

from __future__ import annotations

import logging
from typing import Any, Final

#: With one of these a spreadsheet takes a cell for a formula, also in their wide forms.
_FORMULA: Final = tuple("=+-@＝＋－＠")  # noqa: RUF001  # the wide forms


def one_line(text: str) -> str:
    """Return *text* with a question mark for each character that ends a line or moves a cursor."""
    if text.isprintable():
        return text
    return "".join(each if each.isprintable() else "?" for each in text)


def in_json(text: str) -> str:
    """Return *text*, JSON on one line, with an escape for each such character: its value is the same."""
    if text.isprintable():
        return text
    # JSON has such characters within its strings only.
    return "".join(each if each.isprintable() else _escape(each) for each in text)


def in_json_bytes(line: bytes) -> bytes:
    """Do the same for *line*, JSON in UTF-8."""
    if line.isascii() and b"\x7f" not in line:
        return line
    return in_json(line.decode()).encode()


def _escape(character: str) -> str:
    units = character.encode("utf-16-be", "surrogatepass").hex()
    return "".join(f"\\u{units[start : start + 4]}" for start in range(0, len(units), 4))


def in_cell(text: str) -> str:
    """Return *text* as a cell of a table: one line, and behind an apostrophe where it would be a formula."""
    line = one_line(text)
    return f"'{line}" if line.lstrip().startswith(_FORMULA) else line


class LineFormatter(logging.Formatter):
    """Writes one line for each record; lines of a traceback are indented, so that none looks like one."""

    def format(self, record: logging.LogRecord) -> str:
        """Return the line of *record*, and its traceback where it has one."""
        # Another handler's formatter may have left its own text of the traceback here.
        record.exc_text = None
        return super().format(record)

    def formatMessage(self, record: logging.LogRecord) -> str:  # noqa: N802  # logging's name
        """Return the line of *record*."""
        return one_line(super().formatMessage(record))

    def formatException(self, ei: Any) -> str:  # noqa: ANN401, N802  # logging's
        """Return the lines of a traceback."""
        return indented(super().formatException(ei))

    def formatStack(self, stack_info: str) -> str:  # noqa: N802  # logging's name
        """Return the lines of a stack."""
        return indented(stack_info)


def indented(lines: str) -> str:
    """Return each of *lines* as one line that does not begin at the margin."""
    return "\n".join(f"  {one_line(line)}" for line in lines.splitlines())
