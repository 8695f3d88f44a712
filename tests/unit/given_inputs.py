"""Reads inputs as a run does: the check first, then the rows."""

import pytest

from askonce.rows import Row
from producer.inputs import InputInvalid, Reading, open_inputs


def rows_of(*names, **reading):
    inputs = open_inputs([str(name) for name in names], Reading(**reading))
    count, rows = inputs.check(), list(inputs.rows())
    assert count in (None, len(rows))
    assert [row.number for row in rows] == list(range(1, len(rows) + 1))
    return rows


def payloads_of(*names, **reading):
    rows = rows_of(*names, **reading)
    assert all(isinstance(row, Row) for row in rows), rows
    return [row.payload for row in rows]


def refusal_of(*names, **reading):
    """Return the one line that refuses the inputs before any row is read, and without the folder's name."""
    with pytest.raises(InputInvalid) as caught:
        open_inputs([str(name) for name in names], Reading(**reading)).check()
    line = str(caught.value)
    assert "\n" not in line
    return line.replace(f"{names[0].parent}/" if hasattr(names[0], "parent") else "", "")
