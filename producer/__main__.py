"""The command line: ``python -m producer``. Results go to stdout, words for people to stderr."""

from __future__ import annotations

import click

from producer.commands.dead import dead
from producer.commands.doctor import doctor
from producer.commands.explain import explain
from producer.commands.result import result
from producer.commands.submit import submit
from producer.console import show_events


@click.group(
    epilog="Exit codes: 0 ok, 1 some rows failed, 2 usage, 69 unavailable, 75 timed out, 78 configuration."
)
@click.option("-v", "--verbose", is_flag=True, help="Show each event on stderr.")
@click.pass_context
def cli(context: click.Context, *, verbose: bool) -> None:
    """Enqueue jobs and read their answers."""
    if verbose:
        show_events(context)


for _command in (submit, result, explain, doctor, dead):
    cli.add_command(_command)


if __name__ == "__main__":
    cli(prog_name="python -m producer")
