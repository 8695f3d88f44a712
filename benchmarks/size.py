"""``python -m benchmarks.size``: how large each package is, and how much a reader has to know of it.

A source line holds code: blank lines, comments and docstrings do not count. A public name is a function,
class or constant at the top of a module without a leading underscore. The length of a function runs from its
``def`` to its last line. Nine of ten functions are at most as long as the figure in the last column.
"""

from __future__ import annotations

import ast
import io
import tokenize
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

ROOT = Path(__file__).parents[1]
PACKAGES = ("askonce", "settings", "tasks", "producer", "worker", "sandbox")

_NO_CODE = {
    tokenize.ENCODING,
    tokenize.COMMENT,
    tokenize.NL,
    tokenize.NEWLINE,
    tokenize.INDENT,
    tokenize.DEDENT,
    tokenize.ENDMARKER,
}
_DOCUMENTED = (ast.Module, ast.ClassDef, ast.FunctionDef)


@dataclass(slots=True)
class Size:
    """The figures of one package."""

    files: int = 0
    lines: int = 0
    names: int = 0
    #: Lines of each function.
    functions: list[int] = field(default_factory=list)

    def add(self, text: str) -> None:
        """Count one module."""
        module = ast.parse(text)
        nodes = list(ast.walk(module))
        self.files += 1
        self.lines += len(_token_lines(text) - _docstring_lines(nodes))
        self.names += sum(not name.startswith("_") for node in module.body for name in _names(node))
        self.functions += [
            node.end_lineno - node.lineno + 1
            for node in nodes
            if isinstance(node, ast.FunctionDef) and node.end_lineno
        ]


def size_of(package: Path) -> Size:
    """Count every module of *package*, a folder."""
    size = Size()
    for path in sorted(package.rglob("*.py")):
        size.add(path.read_text(encoding="utf-8"))
    return size


def _token_lines(text: str) -> set[int]:
    tokens = tokenize.generate_tokens(io.StringIO(text).readline)
    return {
        line
        for token in tokens
        if token.type not in _NO_CODE
        for line in range(token.start[0], token.end[0] + 1)
    }


def _docstring_lines(nodes: list[ast.AST]) -> set[int]:
    documented = [node.body[0] for node in nodes if isinstance(node, _DOCUMENTED) and ast.get_docstring(node)]
    return {
        line for first in documented if first.end_lineno for line in range(first.lineno, first.end_lineno + 1)
    }


def _names(node: ast.stmt) -> list[str]:
    match node:
        case ast.FunctionDef(name=name) | ast.ClassDef(name=name):
            return [name]
        case ast.Assign(targets=targets):
            return [name.id for target in targets for name in ast.walk(target) if isinstance(name, ast.Name)]
        case ast.AnnAssign(target=ast.Name(id=name)):
            return [name]
    return []


def main() -> None:
    print(
        f"{'package':<10}{'files':>7}{'lines':>8}{'names/1000':>12}{'functions':>11}{'median':>8}{'p90':>6}"
    )
    for package in PACKAGES:
        size = size_of(ROOT / package)
        lengths = sorted(size.functions)
        density, p90 = 1000 * size.names / size.lines, lengths[len(lengths) * 9 // 10]
        print(
            f"{package:<10}{size.files:>7}{size.lines:>8}{density:>12.0f}"
            f"{len(lengths):>11}{median(lengths):>8.0f}{p90:>6}"
        )


if __name__ == "__main__":
    main()
