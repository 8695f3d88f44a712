"""Replies to ``celery inspect`` and Flower without blocking the worker."""

from __future__ import annotations

from typing import Any

from celery.app.control import Control as CeleryControl
from kombu.pidbox import Mailbox as KombuMailbox


class _Mailbox(KombuMailbox):
    """A mailbox that drops a reply when the broker is gone.

    kombu's retries forever, on the thread that also takes messages and ends the worker: after a SIGTERM the
    worker would hang until the broker is back.
    """

    def _publish_reply(self, *args: Any, **options: Any) -> None:  # noqa: ANN401  # passed on
        policy = {"max_retries": 2, "interval_start": 0, "interval_step": 0.2, "interval_max": 0.5}
        super()._publish_reply(*args, retry_policy=policy, **options)


class Control(CeleryControl):
    """Celery's remote control with that mailbox."""

    Mailbox = _Mailbox
