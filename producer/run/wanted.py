"""What a caller of ``submit`` wants: each option is honoured, or refused by name."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from decimal import Decimal
    from pathlib import Path

    from producer.inputs.reading import Format
    from producer.progress.reporter import Shown
    from producer.run.limits import MaxFailures

#: Stdout, as the name of an output.
STDOUT: Final = "-"
#: Options that say something of answers.
_OF_ANSWERS: Final = ("timeout", "strict", "max_failures", "max_cost", "max_calls", "pilot")


class WantedImpossible(ValueError):
    """Two options that exclude each other, or one that is for another kind of run; the text is one line."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """The words of one ``submit``."""

    task: str
    inputs: tuple[str, ...]
    # How the inputs are read.
    format: Format | None = None
    columns: tuple[str, ...] = ()
    delimiter: str | None = None
    encoding: str | None = None
    limit: int | None = None
    sample: int | None = None
    # What is done with each row.
    wait: bool = False
    timeout: float | None = None
    tenant: str = ""
    on_duplicate: str = "attach"
    max_age: float | None = None
    refresh: bool = False
    retry_failed: bool = False
    strict: bool = False
    # The run as a whole.
    run: str | None = None
    max_queued: int | None = None
    max_failures: MaxFailures | None = None
    max_cost: Decimal | None = None
    max_calls: int | None = None
    dry_run: bool = False
    confirm_above: Decimal | None = None
    pilot: int | None = None
    yes: bool = False
    # What is written.
    out: Path | None = None
    as_json: bool = False
    shown: Shown = "auto"
    quiet: bool = False

    @property
    def file(self) -> Path | None:
        """The file of the output; None for stdout."""
        return self.out if self.out is not None and str(self.out) != STDOUT else None

    @property
    def waits(self) -> bool:
        """Whether the run waits for the answers."""
        return self.wait or self.out is not None

    @property
    def writes_rows(self) -> bool:
        """Whether stdout gets the whole line of each row, not only its answer."""
        return self.as_json or (self.out is not None and self.file is None)

    def require_possible(self) -> None:
        """Refuse what excludes itself.

        Raises:
            WantedImpossible: names the options.
        """
        if not self.waits:
            for name in _OF_ANSWERS:
                if getattr(self, name) not in (None, False):
                    raise WantedImpossible(f"{_spelt(name)} is for a run that waits: add --wait or --out")
        if self.file is not None and self.as_json:
            raise WantedImpossible(
                "--json writes rows to stdout, and --out FILE into the file: pass one of them"
            )
        if self.refresh and self.max_age is not None:
            raise WantedImpossible("--refresh makes each answer anew: --max-age adds nothing to it")
        if self.refresh and self.retry_failed:
            raise WantedImpossible("--refresh asks for all rows again: --retry-failed adds nothing to it")
        if self.limit is not None and self.sample is not None:
            raise WantedImpossible("--limit takes the first rows and --sample any: pass one of them")


def _spelt(name: str) -> str:
    return "--" + name.replace("_", "-")
