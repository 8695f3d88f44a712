"""What a run has written for its rows."""

import json

#: What a start that was killed and begun again must not change.
SAME = ("row", "id", "status", "result")


def lines(path):
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


def told_of(out):
    return [{name: line[name] for name in SAME} for line in lines(out)]


def ends(out):
    """The rows whose ends the journal has."""
    journal = out.with_name(out.name + ".journal")
    text = journal.read_bytes() if journal.exists() else b""
    return sum(line.startswith(b'{"row"') and line.endswith(b"\n") for line in text.splitlines(keepends=True))


def cost_of(out):
    """What the rows caused to be paid, in dollars."""
    return sum(line["cost_usd"] for line in lines(out))
