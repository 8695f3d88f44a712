"""What a caller of ``submit`` wants: each option is honoured, or refused by name."""

from __future__ import annotations

from dataclasses import dataclass
from math import isfinite, isnan
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
    queue: str = ""
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
    def writes_to_stdout(self) -> bool:
        """Whether stdout gets something of each row while the run goes on."""
        return self.file is None and (self.waits or self.as_json)

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
        if self.run is not None or self.tenant or self.queue:
            self._require_names()
        for excluded, why in self._exclusions():
            if excluded:
                raise WantedImpossible(why)

    def _require_names(self) -> None:
        # Late: the first line of a run comes before the engine.
        from askonce.errors import OptionInvalid
        from askonce.options import name_of

        for name in ("run", "tenant", "queue"):
            try:
                name_of(name, getattr(self, name) or "")
            except OptionInvalid as exc:
                raise WantedImpossible(f"--{name} {exc.reason}") from None

    def _exclusions(self) -> tuple[tuple[bool, str], ...]:
        refresh, piloted = self.refresh, self.pilot is not None
        to_file, limited = self.file is not None, self.limit is not None
        # A dry run writes no rows: its forecast is what --json is about.
        twice = to_file and self.as_json and not self.dry_run
        return (
            (self.run == "", "--run is empty"),
            (self.file is not None and not self.file.name, "--out is no name of a file"),
            (twice, "--json is for stdout, and --out FILE for a file: pass one of them"),
            (piloted and not to_file, "--pilot keeps its rows in the output: add --out FILE"),
            (piloted and self.dry_run, "--dry-run calls nothing, and --pilot calls rows: pass one of them"),
            (refresh and self.max_age is not None, "--refresh makes each answer anew: drop --max-age"),
            (refresh and self.retry_failed, "--refresh asks for all rows again: drop --retry-failed"),
            (isnan(self.timeout or 0.0), "--timeout is no number of seconds"),
            (not isfinite(self.max_age or 0.0), "--max-age is no number of seconds"),
            (limited and self.sample is not None, "--limit takes the first rows and --sample any: pass one"),
        )


def _spelt(name: str) -> str:
    return "--" + name.replace("_", "-")
