"""Where the fields of a task are in an input, and what is said of an input that does not have them."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping

#: How many names an input's line names, and how many letters of each.
_SHOWN: Final = 20
_SHOWN_LETTERS: Final = 40


@dataclass(frozen=True, slots=True, kw_only=True)
class Columns:
    """What the caller and the task say of fields."""

    #: The column of each field that has another name in the input.
    mapped: Mapping[str, str] = field(default_factory=dict)
    #: Fields without which no row is accepted.
    required: tuple[str, ...] = ()
    #: All fields of the task, where they are known.
    known: tuple[str, ...] = ()

    def missing(self, names: Collection[str]) -> list[str]:
        """Return the required fields that are not among *names*, nor in the columns for them."""
        moved = self.mapped.values()
        return [
            each
            for each in self.required
            if self.mapped.get(each) not in names and (each not in names or each in moved)
        ]

    def way_out(self) -> str:
        """Return what the caller can do where a field is missing."""
        strange = [each for each in self.mapped if self.known and each not in self.known]
        if not strange:
            return "rename one, or pass --map FIELD=COLUMN"
        fields = ", ".join(self.known)
        return f"--map {', '.join(strange)} names no field of the task, whose fields are {fields}"


def listed(found: Iterable[str]) -> str:
    """Return the names that an input has, in words; nothing where they seem to be data."""
    names = list(found)
    if any(map(_is_data, names)):
        return ""
    shown = [name if len(name) <= _SHOWN_LETTERS else f"{name[:_SHOWN_LETTERS]}..." for name in names]
    more = [f"{len(names) - _SHOWN:,} more"] if len(names) > _SHOWN else []
    return ", ".join([*shown[:_SHOWN], *more])


def _is_data(name: str) -> bool:
    """Return whether *name* is an address, or a number, a date or the like: digits without a letter."""
    is_number = any(map(str.isdigit, name)) and not any(map(str.isalpha, name))
    return "@" in name or is_number
