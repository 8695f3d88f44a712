"""The command line: ``python -m producer``. Results go to stdout, words for people to stderr."""

from __future__ import annotations

from copy import copy

import click

from askonce.cli.cache import warm
from askonce.cli.cancel import cancel
from askonce.cli.exits import EPILOG, CommandLine
from askonce.cli.explain import explain
from askonce.cli.site import mount
from askonce.cli.verbs import VERBS
from producer.commands.submit import submit
from producer.console import show_events
from producer.input_options import reads_inputs
from producer.mount import MOUNT


@click.group(cls=CommandLine, epilog=EPILOG)
@click.option("-v", "--verbose", is_flag=True, help="Show each event on stderr.")
@click.version_option(package_name="askonce", prog_name="askonce")
@click.pass_context
def cli(context: click.Context, *, verbose: bool) -> None:
    """Enqueue jobs and read their answers."""
    show_events(verbose=verbose)
    mount(context, MOUNT)


def _reading(verb: click.Command) -> click.Command:
    """Return *verb* with the options of inputs where it, or a verb in it, reads rows."""
    if isinstance(verb, click.Group):
        group = copy(verb)
        group.commands = {name: _reading(each) for name, each in verb.commands.items()}
        return group
    return reads_inputs(verb) if verb in (cancel, explain, warm) else verb


cli.add_command(submit)
for _verb in VERBS:
    cli.add_command(_reading(_verb))


if __name__ == "__main__":
    cli(prog_name="python -m producer")
