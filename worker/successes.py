"""Notes when jobs of the schedule succeed, so that people see which entry did not (docs/scheduling.md).

The scheduler writes the entry's name into each message. Only for such a message a worker writes to the store.
"""

from __future__ import annotations

from copy import copy
from typing import TYPE_CHECKING, Any, Final

from celery import Task

from askonce.adapters.celery import IdempotentTask
from askonce.adapters.celery.verdict import Verdict
from askonce.errors import StoreUnavailable
from askonce.events import EventType, Subject, emit

if TYPE_CHECKING:
    from celery.beat import ScheduleEntry

#: The header of a message that holds its entry's name.
ENTRY: Final = "askonce_entry"
#: Characters of a name that is noted; anything that writes to the broker may have sent it.
_LONGEST = 200


def named(entry: ScheduleEntry) -> ScheduleEntry:
    """Return *entry* with its name in the message that it sends; the schedule keeps *entry* as it is."""
    sent = copy(entry)
    options = dict(entry.options or {})
    sent.options = {**options, "headers": {**(options.get("headers") or {}), ENTRY: entry.name}}
    return sent


class PlainTask(Task):  # type: ignore[type-arg]  # generic in the stubs only
    """A task without a record: each of its runs that ends without an error is a success."""

    abstract = True

    def on_success(self, *_: object) -> None:
        """Note the success; Celery calls it where the run ended."""
        _note(self)


class RecordedTask(IdempotentTask):
    """An idempotent task: a success is a call of its own whose answer is in the record."""

    abstract = True

    def __call__(self, /, *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401  # as Celery's
        """Run the body if this message is the one that should."""
        ended = super().__call__(*args, **kwargs)
        if isinstance(ended, Verdict) and ended.is_success:
            _note(self)
        return ended


def _note(task: Any) -> None:  # noqa: ANN401  # of either kind
    """Note that an entry succeeded, if the message of *task* names one; the job goes on in any case."""
    entry = (task.request.headers or {}).get(ENTRY)
    if not (isinstance(entry, str) and entry.isprintable() and 0 < len(entry) <= _LONGEST):
        return
    once = task.app.askonce
    try:
        once.process().store.tally.succeeded(entry)
    except StoreUnavailable as error:
        about = Subject(task=task.name, id=str(task.request.id))
        emit(once.listen, EventType.SCHEDULE_UNNOTED, about, entry=entry, reason=error.reason)
