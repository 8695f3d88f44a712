"""Shows a worker's settings to monitors without any password; loaded by workers only."""

from __future__ import annotations

import re
from typing import Any, cast

from celery.app.utils import filter_hidden_settings
from celery.bootsteps import StartStopStep
from celery.utils.serialization import jsonify, strtobool
from celery.worker import control
from celery.worker.consumer.connection import Connection
from celery.worker.control import inspect_command
from kombu.utils.encoding import safe_repr
from kombu.utils.url import maybe_sanitize_url

_control: Any = control
#: A secret in the query of a URL, which Celery leaves there.
_IN_QUERY = re.compile(r"([?&][^=&?\s]*(?:pass|secret|token|key)[^=&?\s]*=)[^&;#'\"\s]+", re.IGNORECASE)


class WatchedStep(StartStopStep):
    """Replaces what ``inspect stats`` shows of the broker.

    Celery removes one password. Others are in the transport's options (a sentinel's) and in the path of a
    unix socket, and one option that is no JSON would leave the monitor without a reply.
    """

    requires = (Connection,)

    def info(self, obj: Any) -> Any:
        """Return the broker of the consumer *obj*; None before it has one."""
        broker = cast("Any", Connection).info(self, obj)["broker"]
        if not isinstance(broker, dict):
            return None
        hidden = filter_hidden_settings({name: maybe_sanitize_url(value) for name, value in broker.items()})
        return {"broker": jsonify(hidden, unknown_type_filter=safe_repr)}


@inspect_command(alias="dump_conf", signature="[include_defaults=False]", args=[("with_defaults", strtobool)])
def conf(state: Any, with_defaults: bool = False, **options: Any) -> object:  # noqa: FBT001, FBT002  # Celery's signature
    """List configuration."""
    return _without_secrets(_control.conf(state, with_defaults=with_defaults, **options))


@inspect_command()
def report(state: Any) -> object:
    """Information about Celery installation for bug reports."""
    return _without_secrets(_control.report(state))


def _without_secrets(shown: object) -> object:
    match shown:
        case str():
            return _IN_QUERY.sub(r"\1********", shown)
        case dict():
            return {name: _without_secrets(value) for name, value in filter_hidden_settings(shown).items()}
        case list():
            return [_without_secrets(value) for value in shown]
    return shown
