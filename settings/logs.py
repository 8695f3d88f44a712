"""Sets up the logs of this application's processes: one form for all lines, whoever writes them.

``json`` has one object a line, for programs; ``console`` is for people. Events, lines of Celery and of the
libraries go through the same renderer, and each line has the job in whose call it was written. No line holds
customers' data, and no text of a stranger begins a line of its own.
"""

from __future__ import annotations

import json
import logging
import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from logging.handlers import WatchedFileHandler
from typing import TYPE_CHECKING, Any, Final

import orjson
from structlog.processors import format_exc_info
from structlog.stdlib import ProcessorFormatter

from askonce.attempt import calling_job
from askonce.cli.exits import is_terminal
from askonce.line import in_json, indented, one_line
from askonce.log import EventLine, fields_of, shown

if TYPE_CHECKING:
    from logging import LogRecord

    from structlog.typing import EventDict, Processor

    from settings.environment import LogFormat

#: These log every message or request, with addresses. Our own line for the event has what they show.
_CHATTY: Final = (
    "celery.app.trace",
    "celery.pool",
    "celery.worker.strategy",
    "httpx2",
    "httpcore2",
    "openai",
)
#: What a line has of its own, before the fields of its event.
_AHEAD: Final = ("timestamp", "level", "logger", "process", "event")
#: What a renderer makes lines of its own of: no id of a payload is that.
_RENDERED: Final = frozenset({"exception", "exc_info", "stack_info"})
#: The process that is no child of a pool.
_MAIN: Final = "MainProcess"


def configure(
    form: LogFormat | None, loglevel: int | str = logging.INFO, logfile: str | None = None, **_: object
) -> None:
    """Set logging up in place of Celery, for the main process and its children; a handler of its signal.

    Without a *form* a terminal gets ``console``, and all else ``json``. *logfile* is the file of this
    process; it is opened again after a rotation.
    """
    handler = WatchedFileHandler(logfile, encoding="utf-8") if logfile else logging.StreamHandler()
    to_person = logfile is None and is_terminal(sys.stderr)
    handler.setFormatter(new_formatter(form or ("console" if to_person else "json")))
    # A child that has a file of its own does not write to its parent's.
    logging.basicConfig(level=loglevel, handlers=[handler], force=logfile is not None)
    logging.captureWarnings(capture=True)
    for name in _CHATTY:
        logging.getLogger(name).setLevel(logging.WARNING)


def new_formatter(form: LogFormat) -> logging.Formatter:
    """Return what makes the lines of a handler, also of records that structlog's own loggers wrote."""
    render: Processor = _as_json if form == "json" else _as_text
    return _Formatter(processors=[_with_its_job, format_exc_info, _with_its_record, render])


class _Formatter(ProcessorFormatter):
    """structlog's, which takes the fields of an event as they are: its text is not made for them."""

    def format(self, record: LogRecord) -> str:
        """Return the line of *record*."""
        if not isinstance(record.msg, EventLine):
            return super().format(record)
        event = record.msg.event
        fields = {name: value for name, value in fields_of(event).items() if name not in _RENDERED}
        line: Any = {**fields, "event": event.name, "_record": record, "_from_structlog": False}
        for process in self.processors:
            line = process(None, record.levelname, line)
        return str(line)


def _with_its_job(_logger: object, _name: str, line: EventDict) -> EventDict:
    """Add the job in whose call a line was written: the correlation id of all that concerns it."""
    if "job" not in line and (job := calling_job()):
        line["job"] = job
    return line


def _with_its_record(_logger: object, _name: str, line: EventDict) -> EventDict:
    """Put time, level, logger and process in front."""
    record: LogRecord = line.pop("_record")
    del line["_from_structlog"]
    made = datetime.fromtimestamp(record.created, UTC)
    ahead = {
        "timestamp": made.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "level": record.levelname.lower(),
        "logger": record.name,
        "process": record.processName,
        "event": line.pop("event"),
    }
    # A name that a task chose for an id of its own hides none of these.
    return ahead | {name: value for name, value in line.items() if name not in ahead}


def _as_json(_logger: object, _name: str, line: EventDict) -> str:
    try:
        text = orjson.dumps(line, default=_plain).decode()
    except orjson.JSONEncodeError:
        # Half of a pair of code units, or a key that is no text: the standard library writes them.
        text = json.dumps(line, default=_plain, skipkeys=True)
    return in_json(text)


def _plain(value: object) -> object:
    return dict(value) if isinstance(value, Mapping) else str(value)


def _as_text(_logger: object, _name: str, line: EventDict) -> str:
    trace, stack = line.pop("exception", ""), line.pop("stack_info", "") or ""
    timestamp, level, _, process, event = (str(line.pop(name)) for name in _AHEAD)
    child = () if process == _MAIN else (process,)
    words = (f"{name}={shown(name, value)}" for name, value in line.items())
    text = one_line(" ".join((timestamp, level.upper(), *child, event, *words)))
    return "\n".join(filter(None, (text, indented(trace), indented(stack))))
