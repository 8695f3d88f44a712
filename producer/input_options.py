"""The options that say how inputs are read: every command that reads some has them."""

from __future__ import annotations

from copy import copy
from typing import TYPE_CHECKING, Any, Final

import click

if TYPE_CHECKING:
    from collections.abc import Mapping

    from askonce.spec import JobSpec
    from producer.inputs import Reading

OF_INPUTS: Final = (
    click.option(
        "--format", type=click.Choice(["jsonl", "json", "csv", "transcripts"]), help="Instead of finding it."
    ),
    click.option(
        "--map", "columns", multiple=True, metavar="FIELD=COLUMN", help="A field's column; repeat it."
    ),
    click.option("--delimiter", help="Between the cells of a CSV; 'tab' is one."),
    click.option("--encoding", help="Of the inputs, such as cp1252; UTF-8 by default."),
)
_NAMES: Final = ("format", "columns", "delimiter", "encoding")
_KEPT: Final = "producer.input_options"


def reads_inputs(verb: click.Command) -> click.Command:
    """Return *verb* with the options of inputs; what it reads is read by them."""
    command, run = copy(verb), verb.callback
    command.params = [*verb.params]
    for option in reversed(OF_INPUTS):
        option(command)
    assert run is not None

    def callback(**words: Any) -> object:  # noqa: ANN401  # click's
        given = {name: words.pop(name) for name in _NAMES}
        if any(given.values()) and (why := _why_unused(words)):
            raise click.UsageError(f"{_first(given)} is for rows of a file: {why}")
        click.get_current_context().meta[_KEPT] = given
        return run(**words)

    command.callback = callback
    return command


def reading_for(spec: JobSpec) -> Reading:
    """Return how the command that runs reads rows of *spec*.

    Raises:
        InputInvalid: names the option that cannot be honoured.
    """
    from producer.inputs import Reading, columns_of

    given: Mapping[str, Any] = click.get_current_context().meta.get(_KEPT, {})
    return Reading(
        format=given.get("format"),
        columns=columns_of(given.get("columns", ())),
        delimiter=given.get("delimiter"),
        encoding=given.get("encoding"),
        required=getattr(spec.input, "required", ()),
        fields=getattr(spec.input, "fields", ()),
    )


def _why_unused(words: Mapping[str, object]) -> str:
    """Return why a verb with these *words* reads no input; empty where it does."""
    from askonce.cli.explained import is_json

    if "task" in words and words["task"] is None:
        return "add --task, whose rows they are"
    return "this is a payload itself" if is_json(str(words["what"])) else ""


def _first(given: Mapping[str, object]) -> str:
    name = next(name for name, value in given.items() if value)
    return "--map" if name == "columns" else f"--{name}"
