"""Answers ``celery inspect`` and Flower, but not at the price of the worker."""

from __future__ import annotations

from typing import Any

from celery.app.control import Control as CeleryControl
from kombu.pidbox import Mailbox as KombuMailbox


class Mailbox(KombuMailbox):
    """A mailbox that gives an answer up when the broker is gone.

    kombu's tries for ever, on the thread that also takes messages and ends the worker: after a SIGTERM it
    would hang until the broker is back.
    """

    def _publish_reply(self, *args: Any, **options: Any) -> None:  # noqa: ANN401  # handed on
        policy = {"max_retries": 2, "interval_start": 0, "interval_step": 0.2, "interval_max": 0.5}
        super()._publish_reply(*args, retry_policy=policy, **options)


class Control(CeleryControl):
    """Celery's remote control with that mailbox."""

    Mailbox = Mailbox
