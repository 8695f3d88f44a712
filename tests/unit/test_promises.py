"""Holds tests/README.md to the tests that exist."""

import ast
import re
from functools import cache
from pathlib import Path

TESTS = Path(__file__).parents[1]
FAULTS, PROOFS = (
    [[cell.strip() for cell in line.strip("|").split("|")] for line in part.splitlines() if line[:3] != "|--"]
    for part in re.findall(r"^\| no\. .*\n((?:\|.*\n)+)", (TESTS / "README.md").read_text(), re.MULTILINE)
)
NAMED = sorted({name for row in FAULTS + PROOFS for name in re.findall(r"`([^`]*::[^`]*)`", row[-2])})


def test_every_fault_and_every_test_has_its_row():
    assert [str(number) for number in range(1, 43)] == [row[0] for row in FAULTS]
    assert [str(number) for number in range(1, 94)] == [row[0] for row in PROOFS]
    assert ({5}, {4}) == (set(map(len, FAULTS)), set(map(len, PROOFS)))


def test_named_tests_exist():
    assert len(NAMED) > 200
    parts = [name.partition("::") for name in NAMED]

    assert [] == [(path, function) for path, _, function in parts if function not in functions_of(path)]


def test_row_has_a_result_and_without_a_test_a_reason():
    rows = [row for row in FAULTS + PROOFS if not row[-1] or (row[-1].startswith("holds") and not row[-2])]

    assert [] == rows, "a promise that no test holds needs a reason"


@cache
def functions_of(path):
    """The names of the tests of one file; none where it does not exist."""
    file = TESTS / path
    if not file.exists():
        return set()
    nodes = ast.walk(ast.parse(file.read_text()))
    return {node.name for node in nodes if isinstance(node, ast.FunctionDef) and node.name[:5] == "test_"}
