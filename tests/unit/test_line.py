"""No character of a stranger ends a line, moves a cursor or turns the direction of writing."""

import json
import logging

import pytest

from askonce.cli.printed import to_json
from askonce.line import LineFormatter, in_cell, in_json, in_json_bytes, one_line

#: C0 with ESC, DEL, C1 with CSI, separators of lines, bidi overrides and isolates, a mark of byte order.
HOSTILE = [
    *map(chr, range(0x20)),
    *map(chr, range(0x7F, 0xA0)),
    *"\u2028\u2029\u200e\u200f\u061c\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\ufeff",
    "\udc9b",
    "\U000e0001",
]
FINE = "Ação, 会議, ωμέγα, 🎉 = 1.5 €"


@pytest.mark.parametrize("character", HOSTILE, ids=ascii)
def test_hostile_character_becomes_a_question_mark(character):
    assert one_line(f"a{character}b") == "a?b"


@pytest.mark.parametrize("character", HOSTILE, ids=ascii)
def test_hostile_character_is_escaped_in_json_and_keeps_its_value(character):
    shown = to_json({"a": f"x{character}y", f"k{character}": 1})

    assert shown.isprintable()
    assert json.loads(shown) == {"a": f"x{character}y", f"k{character}": 1}


def test_text_of_any_language_is_left_as_it_is():
    assert one_line(FINE) == in_json(FINE) == in_cell(FINE) == FINE


@pytest.mark.parametrize("line", [b'"\x7f"', '"\x9b2J"'.encode(), '"\u2028"'.encode(), '"é\u202e"'.encode()])
def test_json_in_bytes_is_escaped_too(line):
    shown = in_json_bytes(line)

    assert shown.decode().isprintable()
    assert json.loads(shown) == json.loads(line)


@pytest.mark.parametrize("text", ["=1+1", "+1", "-1", "@SUM(A1)", "  =1", "\t=1", "＝1", "\r=1"])  # noqa: RUF001  # the wide form
def test_cell_of_text_is_no_formula(text):
    assert not in_cell(text).lstrip().startswith(("=", "+", "-", "@", "＝"))  # noqa: RUF001  # the wide form


@pytest.fixture
def formatted():
    """Format a record as a handler does."""

    def run(message, *arguments, error=None):
        trace = (type(error), error, error.__traceback__) if error else None
        record = logging.LogRecord("any.library", logging.WARNING, __file__, 1, message, arguments, trace)
        return LineFormatter("%(levelname)s %(message)s").format(record)

    return run


def test_record_of_any_logger_is_one_line(formatted):
    assert formatted("got %s", "x\nWARNING forged\x1b[2J") == "WARNING got x?WARNING forged?[2J"


def test_no_line_of_a_traceback_looks_like_a_record(formatted):
    hostile = ValueError("x\nWARNING forged\x1b[2J\u2028WARNING too")

    lines = formatted("failed", error=hostile).splitlines()

    assert lines[0] == "WARNING failed"
    assert lines[1:] == ["  ValueError: x", "  WARNING forged?[2J", "  WARNING too"]


def test_traceback_that_another_handler_left_is_not_trusted(formatted):
    record = logging.LogRecord("any", logging.ERROR, __file__, 1, "failed", (), None)
    record.exc_text = "x\nERROR forged"

    assert LineFormatter("%(levelname)s %(message)s").format(record) == "ERROR failed"
