"""``celery -A APP askonce``: the verbs in Celery's own command line, for any app with an AskOnce.

Celery loads this file at each of its commands, a worker's start among them: it imports click only.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any

import click

from askonce.cli.events import show_events
from askonce.cli.exits import EPILOG, CommandLine
from askonce.cli.site import Mount, mount
from askonce.cli.verbs import VERBS

if TYPE_CHECKING:
    from askonce.checks import Finding
    from askonce.cli.site import Site


@click.group(cls=CommandLine, epilog=EPILOG)
@click.option("-v", "--verbose", is_flag=True, help="Show each event on stderr.")
@click.version_option(package_name="askonce", prog_name="askonce")
@click.pass_context
def askonce(context: click.Context, *, verbose: bool) -> None:
    """Look after slow, paid jobs: answers, dead letters, costs, pauses."""
    show_events(verbose=verbose)
    app = context.obj.app
    mount(context, Mount(open=partial(_open, app), examine=partial(_examine, app)))


for _command in VERBS:
    askonce.add_command(_command)


def _open(app: Any) -> Site:  # noqa: ANN401  # Celery's
    from askonce.cli.app import open_app

    return open_app(app)


def _examine(app: Any, call: bool) -> list[Finding]:  # noqa: ANN401, FBT001  # Celery's; Mount's form
    from askonce.cli.app import examine_app

    return examine_app(app, call)
