"""Finds the jobs that a person names: by a key, by its first digits, or by fields of the payload."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from itertools import product
from typing import TYPE_CHECKING, NamedTuple

import click

from askonce.cli.keys import is_key
from askonce.errors import PayloadInvalid
from askonce.flights import Names
from askonce.job import Key
from askonce.key import identify, older_keys
from askonce.record import BUCKETS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from askonce.cli.site import Site
    from askonce.job import Job
    from askonce.spec import JobSpec
    from askonce.store import Store

#: So many first digits name a job in flight or in quarantine.
SHORTEST = 12
_START = re.compile(rf"[0-9a-f]{{{SHORTEST},64}}")
#: Stands for the fields of a row that a person does not name: the key does not depend on them.
_ANY = "-"
#: Fields that a task may refuse one after the other, and buckets of one round trip.
_MOST_FIELDS, _BUCKETS_AT_ONCE = 50, 4


class Named(NamedTuple):
    """What a person has named."""

    what: str
    keys: list[Key]
    #: Why there are none, and what to do; empty where there are some.
    missing: str = ""
    #: Those of the same payloads in older versions that the task serves: there is something kept under each.
    older: tuple[Key, ...] = ()
    #: Whether nothing is kept under *keys*, which are named all the same.
    is_absent: bool = False

    @property
    def forgettable(self) -> list[Key]:
        """The keys to forget so that no caller gets what was kept, by an older version either."""
        return [*([] if self.is_absent and self.older else self.keys), *self.older]


def by_keys(store: Store, names: Sequence[str]) -> Iterator[Named]:
    """Yield the jobs of each of *names*, a key or its first digits.

    Raises:
        click.UsageError: one of them is neither.
    """
    for name in names:
        if not _START.fullmatch(name):
            raise click.UsageError(
                f"{name!r} is no key, nor its first {SHORTEST} digits or more, nor a task with FIELD=VALUE"
            )
    dead: list[Key] | None = None
    for name in names:
        if is_key(name):
            yield Named(name, [Key(name)])
            continue
        dead = [key for key, _ in store.letters.dead_jobs()] if dead is None else dead
        known = dict.fromkeys([*store.flights.keys([int(name[:2], 16)]), *dead])
        found = [key for key in known if key.startswith(name)]
        missing = "" if found else "no job in flight or in quarantine; a kept answer has its whole key only"
        yield Named(name, found, missing)


def by_fields(
    site: Site, task: str, words: Sequence[str], tenant: str, report: Callable[[int], None]
) -> Named:
    """Return the jobs of *task* with the fields in *words*, such as ``order_id=7``.

    All key fields name a key. Fewer are looked for in the payloads of the jobs in flight and in quarantine;
    *report* gets how many buckets were looked at.

    Raises:
        click.UsageError: a word is no field, or the task refuses it.
    """
    # Tags are no part of the key, and their function may want a whole payload.
    spec, given = replace(site.specs[task], tags=None), _given(words)
    readings = list(_readings(spec, given, tenant))
    what = f"{task} {' '.join(words)}"
    if spec.key_fields and given.keys() >= set(spec.key_fields):
        keys = list(dict.fromkeys(job.key for job, _ in readings))
        older = list(dict.fromkeys(key for job, _ in readings for key in older_keys(spec, job)))
        shown = site.store.flights.show([*keys, *older])
        kept = {key for key, each in zip([*keys, *older], shown, strict=True) if each.present}
        present = [key for key in keys if key in kept]
        also = tuple(key for key in older if key in kept)
        return Named(what, present or keys[:1], older=also, is_absent=not present)
    found = dict[Key, None]()
    for first in range(0, BUCKETS, _BUCKETS_AT_ONCE):
        for _, fields in readings:
            buckets = range(first, first + _BUCKETS_AT_ONCE)
            found |= dict.fromkeys(site.store.flights.find(buckets, Names(task, tenant or None), fields))
        report(first + _BUCKETS_AT_ONCE)
    return Named(what, list(found), "" if found else _missing(spec))


def _missing(spec: JobSpec) -> str:
    words = "no job in flight or in quarantine has these fields"
    if not spec.key_fields:
        return f"{words}; explain {spec.name} ROW shows the key of a whole row"
    return f"{words}; a kept answer is found by all key fields: {', '.join(spec.key_fields)}"


def _given(words: Sequence[str]) -> dict[str, str]:
    given = {}
    for word in words:
        name, equals, value = word.partition("=")
        if not (name and equals):
            raise click.UsageError(f"{word!r} is no FIELD=VALUE")
        given[name] = value
    return given


def _readings(
    spec: JobSpec, given: Mapping[str, str], tenant: str
) -> Iterator[tuple[Job, dict[str, object]]]:
    """Yield each job that *given* may stand for, with its fields in their normal form: 7 may be a number.

    Raises:
        click.UsageError: the task refuses all of them.
    """
    refused: PayloadInvalid | None = None
    seen = set[str]()
    for values in product(*(_meanings(value) for value in given.values())):
        try:
            job = _filled(spec, dict(zip(given, values, strict=True)), tenant)
        except PayloadInvalid as error:
            refused = refused or error
            continue
        payload = json.loads(job.payload)
        fields = {name: payload[name] for name in given if name in payload}
        if fields and repr(fields) not in seen:
            seen.add(repr(fields))
            yield job, fields
    if not seen:
        reason = f"{refused.field} {refused.reason}" if refused else "these are no fields of the task"
        raise click.UsageError(f"{spec.name}: {reason}")


def _meanings(value: str) -> tuple[object, ...]:
    """Return *value* as a text, and as the number or the word of JSON that it may be too."""
    try:
        other = json.loads(value)
    except ValueError:
        return (value,)
    return (value, other) if isinstance(other, int | float) else (value,)


def _filled(spec: JobSpec, fields: Mapping[str, object], tenant: str) -> Job:
    """Return a job with *fields*, and anything in those that the task misses.

    Raises:
        PayloadInvalid: the task refuses one of *fields*, or anything in place of another.
    """
    payload = dict(fields)
    for _ in range(_MOST_FIELDS):
        try:
            return identify(spec, payload, tenant)
        except PayloadInvalid as error:
            missing = error.reasons.keys() - payload.keys() - {""}
            if not missing:
                raise
            payload |= dict.fromkeys(missing, _ANY)
    return identify(spec, payload, tenant)
