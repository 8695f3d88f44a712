"""``explain``: shows what a job would do, and why, without enqueuing it."""

from __future__ import annotations

import sys

import click

from askonce.cli.exits import Exit, unavailable
from askonce.cli.printed import echo, to_json
from askonce.cli.site import FILE, mounted, open_site


@click.command()
@click.argument("task")
@click.argument("what", type=FILE, metavar="FILE-OR-JSON")
@click.option("--tenant", default="", help="The tenant of these jobs: part of the key.")
def explain(task: str, what: str, tenant: str) -> None:
    """Show the key, the job and its holder for each payload, and whether a call would be made."""
    site = open_site(task)
    from askonce.cli.explained import explain_row, read_file, rows_of
    from askonce.cli.standing import hears

    failed, heard = False, hears(site)
    with unavailable():
        for row in rows_of(what, site.specs[task], mounted().read or read_file):
            explained = explain_row(site, task, row, tenant, heard)
            failed |= "error" in explained
            echo(to_json(explained))
    sys.exit(Exit.FAILED if failed else Exit.OK)
