"""One guard of the code, and what it looks like when it is broken."""

from typing import NamedTuple


class Mutant(NamedTuple):
    """In *file*, where *sound* stands once, *broken* stands instead; *killed_by* must fail then."""

    name: str
    file: str
    sound: str
    broken: str
    killed_by: str
    #: The design in ``tests/model/variants.py`` that is broken in the same way.
    variant: str = ""
