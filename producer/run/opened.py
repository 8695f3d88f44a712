"""Opens what a run writes: its journal and its output, or stdout."""

from __future__ import annotations

import sys
import tempfile
import time
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from producer.run.again import Again
from producer.run.begin import Paid, go_on, name_of, new_uid, open_journal, require_usable
from producer.run.errors import OutputFailed, RunTaken
from producer.run.holder import new_holder
from producer.run.journal import Journal, Round
from producer.run.limits import NoBudget
from producer.run.output import Files, JsonLines, Results, Stream, beside
from producer.run.sinks import Direct, Kept

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from producer.inputs import Inputs
    from producer.run.limits import Budget
    from producer.run.sinks import Sink
    from producer.run.wanted import Wanted


@dataclass(frozen=True, slots=True, kw_only=True)
class Opened:
    """What one start of a run writes, and what earlier starts left there."""

    round: Round
    sink: Sink
    journal: Journal
    output: Files | Stream
    #: By earlier starts.
    before: Paid = field(default_factory=Paid)
    #: Jobs of this round that failed at an earlier start.
    failed_jobs: set[str] = field(default_factory=set)
    #: Rows that an earlier round left under way, with its ``uid``.
    uids: dict[int, str] = field(default_factory=dict)
    #: Which rows are asked for again.
    again: Again = field(default_factory=Again)
    #: A digest of what each row holds, by its number, where the inputs can be read only once.
    contents: Sequence[int] = ()

    def begin(self) -> None:
        """Begin to write; until then a start that is refused leaves everything as it was."""
        self.journal.start()
        if self.files is not None:
            self.files.begin()

    @property
    def files(self) -> Files | None:
        """The files of the output; None where it is stdout."""
        return self.output if isinstance(self.output, Files) else None

    @property
    def kept(self) -> Kept | None:
        """The lines of earlier starts; None where there are none."""
        return self.sink if isinstance(self.sink, Kept) and self.files is not None else None


def open_output(
    stack: ExitStack, wanted: Wanted, fresh: Round, inputs: tuple[str, ...], budget: Budget
) -> Opened:
    """Open what the run writes; *fresh* is its round where there is no other to go on with.

    *budget* gets what earlier starts left.
    """
    if wanted.file is not None:
        return _open_file(stack, wanted, wanted.file, fresh, inputs, budget)
    if sys.stdout is None:  # closed by the caller's shell
        raise OutputFailed(file="stdout", reason="is closed")
    stream = Stream(sys.stdout.buffer, JsonLines() if wanted.writes_rows else Results())
    # Rows end in any order: they are kept until those before them have ended.
    journal = stack.enter_context(Journal(tempfile.TemporaryFile("w+b")))  # noqa: SIM115  # the journal closes it
    sink = Kept(journal, stream) if wanted.waits else Direct(stream, results_only=not wanted.writes_rows)
    return Opened(round=fresh, sink=sink, journal=journal, output=stream, again=Again().after(fresh))


def _open_file(
    stack: ExitStack, wanted: Wanted, out: Path, fresh: Round, inputs: tuple[str, ...], budget: Budget
) -> Opened:
    require_usable(out, inputs)
    journal = stack.enter_context(open_journal(out))
    place, is_named = beside(out, "journal"), wanted.run is not None
    past, round_ = go_on(journal, fresh, place, budget.replay, strict=wanted.strict, is_named=is_named)
    files = stack.enter_context(Files(out))
    return Opened(
        round=round_,
        sink=Kept(journal, files, past.lines, past.sent, failed=past.again.failed, before=past.began_at),
        journal=journal,
        output=files,
        before=past.paid,
        failed_jobs=past.failed_jobs,
        uids=past.uids,
        again=past.again,
        contents=past.contents,
    )


def look(wanted: Wanted, inputs: Inputs, version: str) -> tuple[Again, Callable[[int], bool]]:
    """Return what a start would ask for again, and which rows have their end; it leaves nothing behind.

    Raises:
        RunTaken, RunDiffers, JournalInvalid, OutputFailed: it could not begin, or not go on.
    """
    fresh, is_taken = new_round(wanted, inputs, version), (RunTaken,) if wanted.dry_run else ()
    if wanted.file is not None and beside(wanted.file, "journal").exists():
        with suppress(*is_taken), of_output(wanted), ExitStack() as stack:
            opened = open_output(stack, wanted, fresh, inputs.names, NoBudget())
            assert opened.kept is not None
            return opened.again, opened.kept.has_end
    return Again().after(fresh), lambda _row: False


def new_round(wanted: Wanted, inputs: Inputs, version: str) -> Round:
    """Return what a run asks for that begins now."""
    now, uid = time.time(), new_uid()
    name = wanted.run or name_of(wanted.task, wanted.tenant, wanted.inputs, wanted.file)
    if wanted.run is None and wanted.file is None:
        # Nothing is kept that another start could go on with: each one is a run of its own.
        name = f"{name}-{uid[:6]}"
    return Round(
        name=name,
        uid=uid,
        task=wanted.task,
        version=version,
        tenant=wanted.tenant,
        inputs=inputs.names,
        read_by=inputs.read_by,
        digest=inputs.digest() if wanted.file is not None else "",
        started=now,
        holder=new_holder(),
        refresh=wanted.refresh,
        retry_failed=wanted.retry_failed,
        not_before=_not_before(wanted, now),
        limit=wanted.limit,
        sample=wanted.sample,
        total=None if wanted.sample is None else inputs.check(),
    )


def _not_before(wanted: Wanted, now: float) -> float | None:
    """Return since when answers count: the same for a start that goes on."""
    if wanted.refresh:
        return now
    return None if wanted.max_age is None else now - wanted.max_age


@contextmanager
def of_output(wanted: Wanted) -> Iterator[None]:
    """Raise OutputFailed where the output cannot be written: inputs and servers have errors of their own."""
    try:
        yield
    except OSError as exc:
        reason = exc.strerror or type(exc).__name__
        raise OutputFailed(file=str(wanted.file or "stdout"), reason=reason) from None
