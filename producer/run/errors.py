"""Situations in which a run cannot begin or go on; each is one line at the user."""

from __future__ import annotations

from askonce.errors import JobError


class RunTaken(JobError):
    """Another process works on this run."""

    run: str
    holder: str


class JournalInvalid(JobError):
    """The journal of the run is damaged: something else wrote to it."""

    file: str
    line: int


class RunDiffers(JobError):
    """The journal belongs to another run; choose another output or another name for this one."""

    file: str
    #: What differs: ``task``, ``version``, ``tenant``, ``inputs`` or ``max_age``, ...
    differs: str


class InputsDiffer(RunDiffers):
    """The inputs were changed since the run of this output began; choose another output."""


class OutputFailed(JobError):
    """The output cannot be written; the rows that ended are kept in the journal."""

    file: str
    reason: str


class OutputUnopened(OutputFailed):
    """The output cannot be written; nothing was enqueued."""


class OutputUnusable(JobError):
    """--out names what cannot be an output."""

    file: str
    reason: str


class LimitImpossible(JobError):
    """The limit cannot be held."""

    option: str
    reason: str
