"""``doctor``: checks what workers and producers need, without a job."""

from __future__ import annotations

import sys
from dataclasses import asdict

import click

from askonce.cli.exits import Exit
from askonce.cli.printed import echo, to_json
from askonce.cli.site import mounted


@click.command()
@click.option("--json", "as_json", is_flag=True, help="One JSON object for each finding on stdout.")
@click.option("--call", is_flag=True, help="Also call the model, at most twice and for little: it costs.")
def doctor(*, as_json: bool, call: bool) -> None:
    """Check servers, settings and the order of times; a worker checks the same at its start."""
    from askonce.checks import joined

    findings = mounted().examine(call)
    for found in findings if as_json else joined(findings):
        echo(to_json(asdict(found)) if as_json else str(found))
    sys.exit(Exit.CONFIG if any(found.severity == "error" for found in findings) else Exit.OK)
