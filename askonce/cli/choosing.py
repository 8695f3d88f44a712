"""How a command line says which jobs it means: by their names, or by what they are."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar

import click

from askonce.cli.printed import echo
from askonce.cli.since import SINCE
from askonce.cli.site import has_records, require_task
from askonce.cli.working import working

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from askonce.cli.listed import Wanted
    from askonce.cli.named import Named
    from askonce.cli.site import Site

_CommandT = TypeVar("_CommandT", bound=Callable[..., Any])
#: How jobs are named.
WHAT = "KEY...|TASK FIELD=VALUE..."


class _Name(click.ParamType[str]):
    """The name of something that jobs have."""

    name = "text"

    def convert(self, value: object, param: click.Parameter | None, context: click.Context | None) -> str:
        """Return *value*; refuse an empty one, which a shell makes of a variable that is not set."""
        if not value:
            # It would mean all jobs that have no such name.
            self.fail("is empty", param, context)
        return str(value)


NAME = _Name()


def choosing(command: _CommandT) -> _CommandT:
    """Add the options that choose jobs by what they are."""
    for option in (
        click.option("--since", type=SINCE, metavar="TIME|7d|24h|30m", help="In their state since then."),
        click.option("--reason", type=NAME, help="Parked, resting, failed or given up for this reason."),
        click.option("--run", type=NAME, help="Jobs that this run enqueued first."),
        click.option("--tenant", help="Jobs of this tenant; of a TASK's job, part of the key."),
        click.option("--task", type=NAME, help="Jobs of this task."),
    ):
        command = option(command)
    return command


def wanted(states: Sequence[str], chosen: dict[str, Any]) -> Wanted:
    """Return which jobs these states and options of ``choosing`` mean."""
    from askonce.cli.listed import Wanted
    from askonce.cli.standing import State

    return Wanted(frozenset(map(State, states)), **chosen)


def doubt_task(site: Site, task: str | None) -> None:
    """Say that no task has this name, where no job has: it may be a slip."""
    if task is not None and not has_records(task, site.specs):
        echo(f"no task of this application has the name {task!r}", err=True)


def named(site: Site, what: Sequence[str], tenant: str) -> Iterable[Named]:
    """Return the jobs that *what* names: keys, or a task and fields of its payloads."""
    from askonce.cli.named import by_fields, by_keys
    from askonce.record import BUCKETS

    if len(what) == 1 or "=" not in what[1]:
        if tenant:
            raise click.UsageError("--tenant is for the fields of a TASK: a key has its tenant in it")
        return by_keys(site.store, what)
    require_task(what[0], site.specs)
    with working("looked at buckets", BUCKETS) as report:
        return [by_fields(site, what[0], what[1:], tenant, report)]
