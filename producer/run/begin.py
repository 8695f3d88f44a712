"""Begins a run, or goes on with one: its journal says what was asked and which rows have their end.

OUT           the output, once every row has its end
OUT.part      the output so far, in the order of the input
OUT.journal   the truth of both: keep it, and the same command asks for nothing twice
"""

from __future__ import annotations

import errno
import os
import re
from array import array
from dataclasses import asdict, dataclass, field, replace
from hashlib import sha256
from pathlib import Path
from secrets import token_hex
from typing import TYPE_CHECKING, Final

from askonce.spend import Spend
from producer.inputs.source import STDIN
from producer.run.again import NONE, Again, has_all_of, rows_of
from producer.run.errors import InputsDiffer, OutputUnopened, OutputUnusable, RunDiffers
from producer.run.journal import Journal, Line, Lines, Round
from producer.run.output import beside, files_of
from producer.run.report import OPEN, SUPERSEDED

if TYPE_CHECKING:
    from collections.abc import Callable, Container, Mapping

    from producer.run.wanted import Wanted

#: What a glob has for any characters.
_MAGIC: Final = re.compile(r"[*?\[\]]")
#: What a journal and the command that goes on with it have in common.
_SAME: Final = ("name", "task", "version", "tenant", "inputs", "digest")


@dataclass(slots=True)
class Paid:
    """What calls cost together, in millionths of a dollar; those of unknown price are counted beside it."""

    micro_usd: int = 0
    calls: int = 0
    unpriced: int = 0

    def add(self, line: Mapping[str, object]) -> None:
        """Add what the *line* of a row has."""
        cost, calls = line.get("cost_usd"), line.get("calls")
        known = Spend(cost_usd=cost if isinstance(cost, int | float) else None).micro_usd
        made = calls if isinstance(calls, int) else 0
        self.micro_usd += known or 0
        self.calls += made
        self.unpriced += made if known is None else 0


@dataclass(slots=True, kw_only=True)
class Past:
    """What earlier starts of a run came to."""

    #: Whether a fallback is a failure.
    strict: bool = False
    #: The last round, where it began, and whether it has ended; None for a new run.
    round: Round | None = None
    began_at: int = 0
    has_ended: bool = False
    lines: Lines = field(default_factory=Lines)
    #: The group of the last round in which each row was sent, by its number; 0 where it was not.
    sent: array[int] = field(default_factory=lambda: array("i"))
    groups: int = 0
    #: A digest of what each row holds, by its number, where the inputs can be read only once.
    contents: array[int] = field(default_factory=lambda: array("q", [0]))
    #: Rows that an earlier round left under way, with its ``uid``: they are asked for under that again.
    uids: dict[int, str] = field(default_factory=dict)
    #: What all rounds paid.
    paid: Paid = field(default_factory=Paid)
    #: Jobs that failed in the last round: news, not history.
    failed_jobs: set[str] = field(default_factory=set)
    #: Which rows the last round asks for again.
    again: Again = field(default_factory=Again)

    def add(self, offset: int, found: Mapping[str, object]) -> None:
        """Take in one line of the journal."""
        if "row" in found:
            row = found["row"]
            assert isinstance(row, int)
            status, is_fallback = found.get("status"), found.get("source") == "default"
            failed = found.get("error") is not None or (self.strict and is_fallback)
            self.lines[row] = Line(offset, failed, status in OPEN, status == SUPERSEDED)
            if status in ("failed", "negative"):
                self.failed_jobs.add(str(found.get("job")))
            self.paid.add(found)
        elif "sent" in found:
            self._add_group(found["sent"])
        elif "content" in found:
            self._add_content(found["content"])
        elif "end" in found:
            self.has_ended = True
            self.lines.restore()
        elif (begun := Round.of(found.get("run"))) is not None:
            self.begin(begun, offset)

    def _add_group(self, rows: object) -> None:
        assert isinstance(rows, list)
        self.groups += 1
        missing = max(rows, default=0) + 1 - len(self.sent)
        self.sent.frombytes(bytes(max(0, missing) * self.sent.itemsize))
        for row in rows:
            self.sent[row] = self.groups

    def _add_content(self, found: object) -> None:
        assert isinstance(found, list)
        row, digest = found
        if row == len(self.contents):
            self.contents.append(digest)

    def begin(self, begun: Round, offset: int) -> None:
        """Take in the begin of a round."""
        made_anew = rows_of(begun) if begun.refresh else NONE
        self._leave(made_anew)
        self.round, self.began_at, self.has_ended = begun, offset, False
        self.again = self.again.after(begun)
        self.failed_jobs.clear()
        if begun.refresh:
            self.lines.forget_answers(made_anew)
        for row in range(len(self.sent)):
            if row not in self.uids:
                self.sent[row] = 0

    def _leave(self, made_anew: Container[int]) -> None:
        """Keep the ids of jobs that the last round leaves under way; rows *made_anew* have new ones."""
        for row in [row for row in self.uids if row in made_anew or not self._is_under_way(row)]:
            del self.uids[row]
        if self.round is None:
            return
        for row, group in enumerate(self.sent):
            if group and row not in made_anew and self._is_under_way(row):
                self.uids.setdefault(row, self.round.uid)

    def _is_under_way(self, row: int) -> bool:
        line = self.lines[row]
        return line is None or line.open or line.offset < self.began_at


def name_of(task: str, tenant: str, typed: tuple[str, ...], out: Path | None = None) -> str:
    """Return the name of a run whose caller *typed* inputs and no name: the same for the same words."""
    files = [*map(Path, typed), *([] if out is None else [out])]
    places = [task, tenant, *(str(path.absolute()) for path in files)]
    stem = "".join(letter if letter.isprintable() else "?" for letter in _stem_of(typed[0])[:40])
    digest = sha256(chr(0).join(places).encode(errors="surrogateescape")).hexdigest()
    return f"{task}-{stem}-{digest[:8]}"


def _stem_of(typed: str) -> str:
    """Return what a person calls it: ``calls`` for ``calls/``, ``calls/*.vtt`` and ``calls.csv.gz``."""
    if typed == STDIN:
        return "stdin"
    stems = (_MAGIC.sub("", part.partition(".")[0]) for part in reversed(Path(typed).absolute().parts))
    return next((stem for each in stems if (stem := each.strip("-_ /"))), "rows")


def open_journal(out: Path) -> Journal:
    """Open the journal of the run that writes *out*.

    Raises:
        RunTaken: another process works on it.
        OutputUnopened: there is no such folder, or it cannot be written.
    """
    path = beside(out, "journal")
    try:
        return Journal.open(path)
    except OSError as exc:
        raise OutputUnopened(file=str(out), reason=_why_unopened(path, exc)) from None


def _why_unopened(journal: Path, exc: OSError) -> str:
    reason, folder = exc.strerror or type(exc).__name__, journal.parent
    if exc.errno in (errno.ENOENT, errno.ENOTDIR):
        return f"there is no folder {folder}"
    if not os.access(folder, os.W_OK | os.X_OK):
        return f"the folder {folder} cannot be written ({reason})"
    return f"{journal.name}: {reason}"


def go_on(
    journal: Journal,
    wanted: Round,
    path: Path,
    replay: Callable[[Mapping[str, object]], object] = lambda _line: None,
    *,
    strict: bool = False,
    is_named: bool = True,
) -> tuple[Past, Round]:
    """Read *journal*, and begin the round that *wanted* names unless the last one goes on.

    *replay* gets each line, also the one that begins the round. *strict*: a fallback is a failure. A run
    whose caller chose no name, so that it is not *is_named*, has that of the journal.

    Raises:
        RunDiffers: the journal is another run's.
        JournalInvalid: something else wrote to it.
    """
    past = Past(strict=strict)
    for offset, found in journal.lines():
        past.add(offset, found)
        replay(found)
    last = past.round
    if last is not None:
        wanted = wanted if is_named else replace(wanted, name=last.name)
        _require_same(last, wanted, path)
        if not is_new(wanted, last, has_ended=past.has_ended):
            if wanted.not_before is not None and not wanted.refresh and past.again.takes_any_age:
                raise RunDiffers(file=str(path), differs="max_age")
            journal.go_on(wanted.holder)
            return past, last
        wanted = replace(wanted, number=last.number + 1)
    past.begin(wanted, journal.size)
    replay({"run": asdict(wanted)})
    journal.begin(wanted)
    return past, wanted


def is_new(wanted: Round | Wanted, last: Round, *, has_ended: bool) -> bool:
    """Return whether *wanted* begins a round: it asks again, or the last one did, and has ended.

    The same words go on with a round that has not ended, and so do those that ask nothing again.
    """
    same = (wanted.refresh, wanted.retry_failed) == (last.refresh, last.retry_failed)
    asks_again = wanted.refresh or wanted.retry_failed
    if has_ended:
        return asks_again or not same
    return asks_again and not (same and has_all_of(last, wanted))


def _require_same(kept: Round, wanted: Round, path: Path) -> None:
    for name in _SAME:
        if getattr(kept, name) != getattr(wanted, name):
            error = InputsDiffer if name in ("inputs", "digest") else RunDiffers
            raise error(file=str(path), differs=name)


def new_uid() -> str:
    """Draw the name of a run's jobs."""
    return token_hex(16)


def require_usable(out: Path, inputs: tuple[str, ...]) -> None:
    """Refuse an output that is an input, or no plain file: it would be replaced.

    Raises:
        OutputUnusable: says which of its files, and why.
    """
    if out.is_symlink() or (out.exists() and not out.is_file()):
        what = "is a folder, a link or a device: it must be a plain file"
        raise OutputUnusable(file=str(out), reason=what)
    known = {_place(Path(name)) for name in inputs}
    for path in files_of(out):
        if _place(path) in known:
            # The shell may have named it, in place of a glob.
            glob = " (a quoted glob leaves it out)" if len(inputs) > 1 else ""
            raise OutputUnusable(file=str(path), reason=f"is an input of the run{glob}")


def _place(path: Path) -> object:
    """Return what tells two files apart, whatever their names."""
    try:
        found = path.stat()
    except OSError:
        return str(path.absolute())
    return found.st_dev, found.st_ino
