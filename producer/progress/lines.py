"""Shows a run line by line: as JSON for programs, as plain words, or not at all."""

from __future__ import annotations

from typing import TYPE_CHECKING

from producer.progress.parts import first_line, how_far, not_fine, paid, printable, reasons, waiting, writable

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import TextIO

    from producer.progress.view import Moment


class OnlyLines:
    """Writes notes and errors, or errors only; nothing of how far the run is."""

    first = interval = unchanged = 60.0

    def __init__(self, stream: TextIO | None, *, notes: bool = True) -> None:
        self._stream, self._notes = stream, notes

    def start(self, task: str, inputs: Sequence[str]) -> None:
        """Write nothing."""

    def draw(self, moment: Moment) -> None:
        """Write nothing."""

    def note(self, line: str) -> None:
        """Write a line where notes are wanted."""
        if self._notes:
            self._write(line)

    def error(self, line: str) -> None:
        """Write a line."""
        self._write(line)

    def finish(self, moment: Moment | None, lines: Sequence[str]) -> None:  # noqa: ARG002  # only for programs
        """Write *lines* where notes are wanted."""
        for line in lines:
            self.note(line)

    def _write(self, line: str) -> None:
        if self._stream is not None:
            # One write for each line: another process may write to the same file.
            self._stream.write(f"{writable(printable(line), self._stream.encoding)}\n")
            self._stream.flush()


class TextLines(OnlyLines):
    """Writes a line of words now and then: for a screen reader, and for a terminal without a cursor."""

    first, interval, unchanged = 2.0, 10.0, 60.0

    def start(self, task: str, inputs: Sequence[str]) -> None:
        """Write what is read."""
        self._write(first_line(task, inputs))

    def draw(self, moment: Moment) -> None:
        """Write how far the run is, in one line."""
        counts = moment.counts
        why = f" ({', '.join(found)})" if (found := reasons(counts)) else ""
        parts = [*how_far(moment), *paid(counts)]
        if trouble := not_fine(counts):
            parts.append(f"{', '.join(trouble)}{why}")
        if moment.wait is not None:
            parts.append(waiting(moment.wait))
        self._write(", ".join(parts))


class JsonLines(OnlyLines):
    """Writes a JSON object a line, each with its ``event``: started, progress, note, error, ended."""

    first, interval, unchanged = 5.0, 5.0, 60.0

    def start(self, task: str, inputs: Sequence[str]) -> None:
        """Write the task and all inputs."""
        self._event("started", task=task, inputs=list(inputs))

    def draw(self, moment: Moment) -> None:
        """Write the counts."""
        self._event("progress", **_fields(moment))

    def note(self, line: str) -> None:
        """Write a line for people."""
        self._event("note", line=line)

    def error(self, line: str) -> None:
        """Write what a person must look at."""
        self._event("error", line=line)

    def finish(self, moment: Moment | None, lines: Sequence[str]) -> None:
        """Write *lines*, then the counts a last time."""
        super().finish(moment, lines)
        if moment is not None:
            self._event("ended", **_fields(moment))

    def _event(self, event: str, **fields: object) -> None:
        import json

        # Without characters that not every terminal and file can take.
        self._write(json.dumps({"event": event, **fields}))


def _fields(moment: Moment) -> Mapping[str, object]:
    counts, rounded = (
        moment.counts,
        {"seconds": moment.seconds, "rate": moment.rate, "seconds_left": moment.seconds_left},
    )
    return {
        "task": moment.task,
        **{name: None if value is None else round(value, 1) for name, value in rounded.items()},
        **{name: getattr(counts, name) for name in counts.__slots__},
        "waiting": None
        if moment.wait is None
        else {"for": moment.wait.why, "seconds": round(moment.wait.seconds, 1)},
    }
