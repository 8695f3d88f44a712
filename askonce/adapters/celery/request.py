"""Decides whether the message of a killed child is done."""

from __future__ import annotations

from typing import Any

from celery.worker.request import Request


class PartRequest(Request):
    """A message that may be a part of a canvas; a copy that is no part may answer its job."""

    def _success_was_stored(self) -> Any:
        """Return Celery's result of this message, if it is of this message.

        The record may have sent the job again. The record knows no group and no link, and that copy stored
        its result under the same id. Celery would take it for the end of this message, and the chord would
        never be complete. Without a result the message is delivered again, answered from the record and
        counted.
        """
        stored = super()._success_was_stored()  # type: ignore[misc]  # not in the stubs
        context: Any = self._context  # type: ignore[attr-defined]  # not in the stubs
        if stored and (context.group or context.chord or context.callbacks or context.chain):
            return stored if context.group and stored.get("group_id") == context.group else False
        return stored
