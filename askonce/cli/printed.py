"""Prints what a command has to say: the only place of the verbs that writes to a terminal."""

from __future__ import annotations

import json

import click

from askonce.line import in_json, one_line


def echo(line: str, *, err: bool = False) -> None:
    """Print *line* on stdout, or on stderr: one line, whatever is in it."""
    click.echo(one_line(line), err=err)


def overwrite(line: str) -> None:
    """Print *line* on stderr in place of the one before it: how far a command is."""
    click.echo(f"\r{one_line(line)}", nl=False, err=True)


def to_json(value: object) -> str:
    """Return *value* as JSON on one line, with no character that a terminal acts on."""
    return in_json(json.dumps(value, ensure_ascii=False))
