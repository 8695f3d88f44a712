"""How ``python -m producer`` opens what its verbs work on: by the environment, without a task's body."""

from __future__ import annotations

from pkgutil import resolve_name
from typing import TYPE_CHECKING

import click

from askonce.cli.site import Mount

if TYPE_CHECKING:
    from collections.abc import Iterator

    from askonce.checks import Finding
    from askonce.rows import BadRow, Row
    from askonce.spec import JobSpec
    from producer.client import Client

_LIST = "tasks.providers.openai.listed:look_up"
_CALL = "tasks.providers.openai.trial:try_model"


def connect_or_exit() -> Client:
    """Return a client of the configured servers; end the command where the configuration is bad."""
    from producer.client import connect
    from settings.environment import load_or_exit

    return connect(load_or_exit())


def _examine(call: bool) -> list[Finding]:  # noqa: FBT001  # Mount's form
    """Return all findings: in a few seconds at most, whatever server is down; a *call* takes its own time."""
    from askonce.adapters.celery.sender import CelerySender
    from askonce.cli.examined import examine_work
    from settings.checks import check, check_outside
    from settings.environment import load_or_exit
    from settings.servers import new_app, new_store
    from tasks.catalog import catalog
    from tasks.reasons import cure_of

    settings = load_or_exit()
    specs, store, app = catalog(settings).values(), new_store(settings), new_app()
    servers = check(settings, specs, store, app)
    # By name, as bodies are: nothing else of a producer loads the client of a paid service.
    looks = [_LIST, *([_CALL] if call else [])]
    model = [found for look in looks for found in resolve_name(look)(settings)]
    work = examine_work(specs, store, CelerySender(app).queue_of, cure_of)
    return [*servers, *work, *check_outside(settings), *model]


def _read(name: str, spec: JobSpec) -> Iterator[Row | BadRow]:
    """Yield the rows of any input that ``submit`` takes; end with a usage error for one that is none."""
    from producer.input_options import reading_for
    from producer.inputs import InputInvalid, open_inputs

    try:
        found = open_inputs([name], reading_for(spec))
        found.check()
        yield from found.rows()
    except InputInvalid as exc:
        raise click.UsageError(str(exc)) from None


MOUNT = Mount(open=connect_or_exit, examine=_examine, read=_read)
