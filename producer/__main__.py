"""The command line: ``python -m producer``. Results go to stdout, words for people to stderr."""

from __future__ import annotations

import click

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


cli.add_command(submit)
for _verb in VERBS:
    cli.add_command(reads_inputs(_verb) if _verb in (cancel, explain) else _verb)


if __name__ == "__main__":
    cli(prog_name="python -m producer")
