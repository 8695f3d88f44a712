"""Keys of jobs as people name them: by themselves, or as the file that a run wrote."""

from __future__ import annotations

import csv
import re
from pathlib import Path
from typing import TYPE_CHECKING

import click

from askonce.job import Key

if TYPE_CHECKING:
    from collections.abc import Iterator

_KEY = re.compile(r"[0-9a-f]{64}")


def is_key(text: str) -> bool:
    """Return whether *text* is the key of a job: the digits of a SHA-256."""
    return _KEY.fullmatch(text) is not None


def read_keys(name: str) -> Iterator[Key]:
    """Yield the keys in the file of this *name*.

    Each line is a key, or a JSON object with a ``key``; a file that ends with ``.csv`` or ``.csv.part`` has a
    column for it. A row without a key never was a job.

    Raises:
        click.UsageError: names the line that has none of these.
    """
    try:
        with Path(name).open(encoding="utf-8", newline="") as file:
            # That of a run that goes on is called so.
            is_table = name.lower().removesuffix(".part").endswith(".csv")
            texts = _column(file) if is_table else map(_text_of, file)
            for number, text in enumerate(texts, 1):
                if text is None or (text and not is_key(text)):
                    raise click.UsageError(f"{name}:{number}: is no key, nor a row of a run with its key")
                if text:
                    yield Key(text)
    except OSError as error:
        raise click.UsageError(f"{name}: {error.strerror}") from None
    except (UnicodeDecodeError, csv.Error):
        raise click.UsageError(f"{name}: is no text of keys, nor what a run wrote") from None


def _column(file: Iterator[str]) -> Iterator[str | None]:
    """Yield what each row of a CSV file has as its key; None first where the file has no such column."""
    from askonce.rows import MAX_LINE_BYTES

    # A cell may hold a whole answer.
    csv.field_size_limit(MAX_LINE_BYTES)
    rows = csv.DictReader(file)
    if "key" not in (rows.fieldnames or ()):
        yield None
    for row in rows:
        yield row["key"] or ""


def _text_of(line: str) -> str | None:
    """Return the key in *line*; nothing where its row never was a job, None where the line is no row."""
    import orjson

    text = line.strip()
    if not text.startswith("{"):
        return text
    try:
        row = orjson.loads(text)
    except orjson.JSONDecodeError:
        return None
    key = row.get("key", False)
    return "" if key is None else key if isinstance(key, str) else None
