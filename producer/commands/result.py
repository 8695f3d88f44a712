"""``python -m producer result``: prints a stored answer."""

from __future__ import annotations

import json
import sys

import click

from producer.console import Exit, open_client, unavailable


@click.command()
@click.argument("key")
def result(key: str) -> None:
    """Print the answer stored under KEY as JSON."""
    _require_key(key)
    from askonce.answer import to_result
    from askonce.job import Key
    from askonce.record import Status

    with unavailable():
        record = open_client().store.read([Key(key)])[0].checked()
    if record.value is None:
        click.echo(f"{key}: no answer, the job is {record.status.value}", err=True)
        sys.exit(Exit.TIMED_OUT if record.status in (Status.QUEUED, Status.RUNNING) else Exit.FAILED)
    with unavailable():
        answer = to_result(Key(key), record.job, record.value, "cache" if record.value.fresh else "stale")
    click.echo(json.dumps(answer.to_dict(), ensure_ascii=False))


def _require_key(key: str) -> None:
    if len(key) != 64 or not set(key) <= set("0123456789abcdef"):  # noqa: PLR2004  # hex of SHA-256
        raise click.UsageError("KEY must be 64 hexadecimal digits")
