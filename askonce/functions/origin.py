"""Decides whether a function that is decorated is one that was decorated before."""

from __future__ import annotations

import inspect
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable


class Origin(NamedTuple):
    """Where a function was defined, and the code and the outer variables that it uses."""

    module: str
    file: str
    name: str
    code: object
    outer: tuple[object, ...]

    @classmethod
    def of(cls, function: Callable[..., Any]) -> Origin:
        """Return the origin of *function*, whatever wraps it."""
        bare = inspect.unwrap(function)
        code = getattr(bare, "__code__", None)
        file = code.co_filename if code else bare.__module__
        outer = tuple(map(_content, getattr(bare, "__closure__", None) or ()))
        return cls(bare.__module__, file, bare.__qualname__, code or bare, outer)

    def is_same(self, other: Origin) -> bool:
        """Return whether both are one function: defined once, or by a module that was imported again."""
        if self.code is other.code:
            # The functions that a factory makes have one code, and differ in what is around them.
            return [*map(id, self.outer)] == [*map(id, other.outer)]
        return self._is_importable and other._is_importable and self._is_beside(other)

    @property
    def _is_importable(self) -> bool:
        """Return whether the name is that of one function; a lambda or an inner function shares its name."""
        return "<" not in self.name and not self.outer

    def _is_beside(self, other: Origin) -> bool:
        # All code that is no file has one name: <string>, for example.
        is_same_file = self.file == other.file and not self.file.startswith("<")
        return self.name == other.name and (self.module == other.module or is_same_file)


def _content(cell: Any) -> object:  # noqa: ANN401  # Python has no name for the type of a cell
    try:
        return cell.cell_contents
    except ValueError:  # not assigned yet
        return cell
