"""Decides what monitors show in place of a job's arguments: its ids, key, tenant and run, never its payload.

The text is a flat Python literal, because Flower reads it as one to search its fields.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from askonce.adapters.celery.header import HEADER, NO_REPR, chosen, is_identity
from askonce.key import identify

if TYPE_CHECKING:
    from collections.abc import Mapping

    from askonce.job import Job

#: Characters; Celery cuts longer representations.
_LONGEST = 1024
#: Digits of a key: as many as logs and lists show.
_DIGITS = 16
#: The literal of a printable line: a quote or a backslash counts twice.
_LINE = r"""(?:'(?:[^'\\]|\\['\\]){{0,{most}}}'|"(?:[^"\\]|\\\\){{0,{most}}}")"""
#: A tenant or a run, and an id; only the lengths of the latter are those of ``askonce.key``.
_NAME, _ID = _LINE.format(most=200), _LINE.format(most=64)


def kwargsrepr_of(job: Job) -> str:
    """Return what monitors show of *job*: the literal of a dict, which each caller makes in a microsecond."""
    fields = f"'key': '{job.key[:_DIGITS]}'"
    if job.tenant:
        fields = f"{fields}, 'tenant': {job.tenant!r}"
    if job.run:
        fields = f"{fields}, 'run': {job.run!r}"
    # A list of jobs cuts its columns: what a person knows a job by comes first.
    for name, value in reversed(job.shown):
        fields = f"{name!r}: {value!r}, {fields}"
    if len(fields) <= _LONGEST - 2:
        return f"{{{fields}}}"
    # Names of 200 characters leave too little room for all ids; only a stranger sends longer ones.
    shorter = job._replace(shown=job.shown[:-1]) if job.shown else job._replace(tenant="", run="")
    return kwargsrepr_of(shorter)


def received(task: Any, headers: Mapping[str, Any], args: Any, kwargs: Any) -> str:
    """Return what monitors show of a message of *task*, an IdempotentTask.

    What our sender wrote is kept. Another sender may have written the arguments there: then it is made of the
    payload, as the job's own message has it.
    """
    sent = headers.get("kwargsrepr")
    if isinstance(sent, str) and _is_ours(sent, task.job_spec.shown):
        return sent
    header = (headers.get("headers") or {}).get(HEADER)
    try:
        options: Any = header if is_identity(header) else chosen(header)
        row = task.bind_row(args, kwargs)
        job = identify(task.job_spec, row, options.get("tenant", ""), run=options.get("run", ""))
    except Exception:  # noqa: BLE001  # strangers write messages, and this thread serves the whole worker
        # What the message is worth is judged when its turn comes.
        return NO_REPR["kwargsrepr"]
    return kwargsrepr_of(job)


def _is_ours(text: str, shown: tuple[str, ...]) -> bool:
    return len(text) <= _LONGEST and text.isprintable() and _form(shown).fullmatch(text) is not None


@lru_cache(maxsize=256)
def _form(shown: tuple[str, ...]) -> re.Pattern[str]:
    """Return the form of what our sender writes for a task that shows these fields."""
    ids = "".join(rf"(?:{re.escape(repr(name))}: (?:{_ID}|-?\d{{1,20}}), )?" for name in shown)
    names = "".join(rf"(?:, '{name}': {_NAME})?" for name in ("tenant", "run"))
    return re.compile(rf"\{{{ids}'key': '[0-9a-f]{{{_DIGITS}}}'{names}\}}")
