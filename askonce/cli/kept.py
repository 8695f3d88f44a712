"""Answers that are kept, as a command line shows them."""

from __future__ import annotations

from collections import Counter as Sums
from typing import TYPE_CHECKING, Any

import click
import orjson

from askonce.answer import to_result
from askonce.cli.explained import is_json
from askonce.cli.keys import is_key
from askonce.cli.named import by_fields
from askonce.cli.printed import to_json
from askonce.cli.site import require_task
from askonce.cli.table import Table, room_of_stdout
from askonce.due import Walked
from askonce.errors import PayloadInvalid
from askonce.job import Key
from askonce.line import one_line
from askonce.record import BUCKETS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from askonce.cli.site import Site
    from askonce.due import Due, KeptAnswer, Meant
    from askonce.record import Snapshot
    from askonce.tally import Counter

#: Buckets of one round trip: some thousand answers at most.
_AT_ONCE = 32
_MICROS = 1_000_000


def one_key(site: Site, what: Sequence[str], tenant: str) -> Key:
    """Return the key that *what* names: itself, or a task with key fields or a payload.

    Raises:
        click.UsageError: it names none, or several.
    """
    first, *rest = what
    if not rest:
        if not is_key(first):
            raise click.UsageError(f"{first!r} is no key: 64 hexadecimal digits, or a TASK and its fields")
        if tenant:
            raise click.UsageError("--tenant is for the fields of a TASK: a key has its tenant in it")
        return Key(first)
    require_task(first, site.specs)
    spec = site.specs[first]
    if len(rest) == 1 and is_json(rest[0]):
        return _key_of(site, first, rest[0], tenant)
    if not spec.key_fields:
        raise click.UsageError(f"{first} has no key fields: name the whole payload as JSON")
    found = by_fields(site, first, rest, tenant, lambda _: None)
    if len(found.keys) != 1:
        fields = ", ".join(spec.key_fields)
        raise click.UsageError(f"an answer of {first} is named by all key fields: {fields}")
    return found.keys[0]


def _key_of(site: Site, task: str, text: str, tenant: str) -> Key:
    try:
        return site.identify(task, orjson.loads(text), tenant).key
    except orjson.JSONDecodeError:
        raise click.UsageError("the payload is no JSON") from None
    except PayloadInvalid as invalid:
        raise click.UsageError(f"{task}: {invalid.field or 'the payload'} {invalid.reason}") from None


def walk(due: Due, meant: Meant, report: Callable[[int], None]) -> Iterator[KeptAnswer]:
    """Yield the answers that are meant, some buckets after the others; *report* gets how many were read."""
    read = 0
    for first in range(0, BUCKETS, _AT_ONCE):
        walks, known = [Walked(bucket) for bucket in range(first, first + _AT_ONCE)], set[Key]()
        while walks:
            some, walks = due.answers(walks, meant)
            found = {each.key: each for each in some if each.key not in known}
            known |= found.keys()
            read += len(found)
            report(read)
            yield from found.values()


def line_of(kept: KeptAnswer) -> dict[str, object]:
    """Return one answer of a list for programs; never its value."""
    return {
        "key": kept.key,
        "task": kept.task,
        "version": kept.version,
        "tenant": kept.tenant,
        "state": "fresh" if kept.fresh_for > 0 else "stale",
        "age_seconds": kept.age,
        "fresh_for_seconds": kept.fresh_for,
        "kept_for_seconds": kept.kept_for,
        "tags": list(kept.tags),
    }


def table_of(found: Sequence[KeptAnswer]) -> list[str]:
    """Return answers as a table for people; nothing where there are none."""
    heads = ["key", "task", "tenant", "state", "age_s", "fresh_for_s", "kept_for_s", "tags"]
    rows = [
        [
            each.key,
            each.task,
            each.tenant,
            "fresh" if each.fresh_for > 0 else "stale",
            *(f"{seconds:.0f}" for seconds in (each.age, each.fresh_for, each.kept_for)),
            " ".join(each.tags),
        ]
        for each in found
    ]
    # Names come from callers.
    table = Table([heads, *([one_line(cell) for cell in row] for row in rows)], names=2, left=len(heads))
    return table.fitted(room_of_stdout())[0] if rows else []


def shown(kept: KeptAnswer, record: Snapshot, *, with_value: bool) -> dict[str, object]:
    """Return one answer with its cost; its value only where that is wanted."""
    assert record.value is not None
    result = to_result(kept.key, record.job, record.value, "cache" if kept.fresh_for > 0 else "stale")
    facts: dict[str, object] = {
        **line_of(kept),
        "status": record.status.value,
        "source": result.source,
        "cost_usd": result.cost_usd,
        "usage": dict(result.usage),
        "attempts": result.attempts,
    }
    return {**facts, "value": result.value} if with_value else facts


def lines_of(facts: Mapping[str, object]) -> list[str]:
    """Return facts in lines for people, without what is empty; an unknown cost is said. A value is JSON."""
    known = {name: _as_text(fact) for name, fact in facts.items() if fact not in ("", [], {})}
    if "value" in facts:
        known["value"] = to_json(facts["value"])
    width = max(map(len, known))
    return [f"{name.ljust(width)}  {text}" for name, text in known.items()]


def _as_text(fact: object) -> str:
    if fact is None:
        return "unknown"
    if isinstance(fact, dict):
        return to_json(fact)
    return " ".join(map(str, fact)) if isinstance(fact, list) else str(fact)


def stats_of(totals: Mapping[Counter, int]) -> list[dict[str, object]]:
    """Return how callers of each task got their answers, and of all tasks in the last line."""
    tasks: dict[str, Sums[str]] = {}
    for counter, amount in totals.items():
        tasks.setdefault(counter.task, Sums())[counter.what] += amount
    lines = [{"task": task, **_stats(counted)} for task, counted in sorted(tasks.items())]
    return [*lines, {"total": True, **_stats(sum(tasks.values(), Sums()))}]


def _stats(counted: Sums[str]) -> dict[str, Any]:
    hits, stale, misses = counted["hit"], counted["stale"], counted["admitted"]
    looked = hits + stale + misses
    unknown = counted["avoided_unknown"]
    return {
        "hits": hits,
        "stale": stale,
        "misses": misses,
        "joined": counted["attached"],
        "hit_rate": round((hits + stale) / looked, 4) if looked else None,
        "avoided_usd": None if unknown else counted["avoided_micro_usd"] / _MICROS,
        "known_avoided_micro_usd": counted["avoided_micro_usd"],
    }


def table_of_stats(lines: Iterable[Mapping[str, Any]]) -> list[str]:
    """Return ``stats_of`` as a table for people."""
    heads = ["task", "hits", "stale", "misses", "joined", "hit_rate", "avoided_usd"]
    rows = [heads]
    for line in lines:
        rate = "" if line["hit_rate"] is None else f"{line['hit_rate']:.1%}"
        known = f"{line['known_avoided_micro_usd'] / _MICROS:.6f}"
        avoided = known if line["avoided_usd"] is not None else f">={known}"
        counts = [str(line[name]) for name in heads[1:5]]
        rows.append([one_line(line.get("task", "total")), *counts, rate, avoided])
    return Table(rows, names=1, left=1).fitted(room_of_stdout())[0]
