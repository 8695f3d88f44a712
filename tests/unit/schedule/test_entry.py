from math import inf, nan
from pathlib import Path

import pytest

from askonce.schedule import DeadLetters, Entry, Every, GoingStale, Policy, StoredFile, StoredRun

FILE = StoredFile(task="t", path=Path("/x"))
WITHIN = "from 0 to 3.1536e+08, not"
SLOTS = 'at must be Every(600) or Cron("30 2 * * *"), for example, not'


def entry(**fields):
    return Entry(**{"name": "e", "at": Every(60), "query": FILE, **fields})


def stored(**fields):
    return StoredFile(**{"task": "t", "path": None, **fields})


CASES = [
    (lambda: entry(at="30 2 * * *"), f"Entry 'e': {SLOTS} str"),
    (lambda: entry(at=600), f"Entry 'e': {SLOTS} int"),
    (lambda: entry(name=5), "Entry: name must be one printable line of 1 to 200 characters"),
    (lambda: entry(name=""), "Entry: name must be one printable line of 1 to 200 characters"),
    (
        lambda: entry(query="t"),
        "Entry 'e': query must be a GoingStale or DeadLetters or StoredFile or StoredRun",
    ),
    (lambda: entry(policy={"rate": 5}), "Entry 'e': policy must be a Policy"),
    (lambda: Policy(dry_run="no"), "Policy: dry_run must be True or False"),
    (lambda: Policy(pause_on_failure=1), "Policy: pause_on_failure must be True or False"),
    (lambda: stored(max_age=-5), f"StoredFile of 't': max_age must be {WITHIN} -5"),
    (lambda: stored(max_age=nan), f"StoredFile of 't': max_age must be {WITHIN} nan"),
    (lambda: stored(max_age="60"), f"StoredFile of 't': max_age must be {WITHIN} 60"),
    (lambda: stored(path=5), "StoredFile of 't': path must be a path"),
    (lambda: stored(path=""), "StoredFile of 't': path must be a path"),
    (lambda: stored(path="/a\0b"), "StoredFile of 't': path must be a path"),
    (lambda: Policy(max_cost=10**400), f"Policy: max_cost must be at least 0, not {10**400}"),
    (lambda: stored(task=None), "StoredFile: task must be the name of a task"),
    (lambda: stored(task=""), "StoredFile: task must be the name of a task"),
    (lambda: StoredRun(task="t", journal=None), "StoredRun of 't': journal must be a path"),
    (
        lambda: StoredRun(task="t", journal="/x", max_age=inf),
        f"StoredRun of 't': max_age must be {WITHIN} inf",
    ),
    (
        lambda: GoingStale(task="t", within=-1),
        "GoingStale of 't': within must be from 0.001 to 3.1536e+08, not -1",
    ),
    (lambda: GoingStale(task=5), "GoingStale: task must be the name of a task"),
    (
        lambda: DeadLetters(task="t", older_than=inf),
        f"DeadLetters of 't': older_than must be {WITHIN} inf",
    ),
    (
        lambda: DeadLetters(task="t", reasons="http_503"),
        "DeadLetters of 't': reasons must be a tuple of texts, such as (\"http_503\",)",
    ),
    (
        lambda: DeadLetters(task="t", reasons=(503,)),
        "DeadLetters of 't': reasons must be a tuple of texts, such as (\"http_503\",)",
    ),
]


@pytest.mark.parametrize(("make", "said"), CASES, ids=range(len(CASES)))
def test_field_that_cannot_be_is_refused_where_it_is_written(make, said):
    with pytest.raises(ValueError) as refused:  # noqa: PT011  # its text is below
        make()

    assert said == str(refused.value)


@pytest.mark.parametrize(
    "query",
    [
        stored(max_age=0.0),
        stored(path="/data/x.jsonl", max_age=300),
        StoredRun(task="t", journal="/data/x.journal"),
        GoingStale(task="t", within=600),
        DeadLetters(task="t", reasons=("http_503",), older_than=3600),
    ],
    ids=repr,
)
def test_query_that_can_be_is_taken(query):
    assert query == entry(query=query).query
