"""Finds what a producer's run asked for, by its journal; for entries of the schedule.

A journal holds the reports of rows, not the rows: they are read from the inputs that it names. Each worker
must be able to read these by the same names.
"""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import orjson

from askonce.schedule.site import InputsUnusable, RunInputs

if TYPE_CHECKING:
    from collections.abc import Sequence

#: The line that begins a round of a run; the last one counts.
_ROUND: Final = b'{"run":'
_JSON_LINES: Final = (".jsonl", ".ndjson")


def inputs_of_run(journal: Path) -> RunInputs:
    """Return what the run of *journal* asked for.

    Raises:
        InputsUnusable: it is no journal, or its rows cannot be read as they were.
    """
    found = _last_round(journal)
    if found.get("limit") is not None or found.get("sample") is not None:
        raise InputsUnusable("the run asked for some rows of its inputs only: name a file of them instead")
    if read_by := found.get("read_by"):
        options = ", ".join(map(str, read_by))
        raise InputsUnusable(f"the run read its inputs by {options}: name a file of its rows instead")
    task, tenant = found.get("task"), found.get("tenant", "")
    if not isinstance(task, str) or not isinstance(tenant, str):
        raise InputsUnusable("is no journal of a run")
    return RunInputs(_paths(found.get("inputs")), task, tenant)


def _last_round(journal: Path) -> dict[str, Any]:
    last = b""
    try:
        with journal.open("rb") as lines:
            for line in lines:
                if line.startswith(_ROUND) and line.endswith(b"\n"):
                    last = line
    except OSError as exc:
        raise InputsUnusable(str(exc.strerror)) from None
    try:
        found = orjson.loads(last)["run"]
    except (orjson.JSONDecodeError, TypeError, LookupError):
        found = None
    if not isinstance(found, dict):
        raise InputsUnusable("is no journal of a run")
    return found


def _paths(names: object) -> Sequence[Path]:
    if not isinstance(names, list) or not names or not all(isinstance(name, str) for name in names):
        raise InputsUnusable("is no journal of a run")
    for name in names:
        if name == "-":
            raise InputsUnusable("the run read its rows from stdin: they are not kept")
        if not Path(name).is_absolute():
            raise InputsUnusable(
                f"input {name} is relative to the producer's folder: submit it by its whole path"
            )
        if Path(name).suffix not in _JSON_LINES:
            raise InputsUnusable(
                f"input {name} must be JSON lines, in a file that ends with .jsonl or .ndjson"
            )
    return [Path(name) for name in names]
