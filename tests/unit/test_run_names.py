"""The name of a run whose caller gave it none."""

from pathlib import Path

import pytest

from producer.run.begin import name_of


@pytest.mark.parametrize(
    ("typed", "stem"),
    [
        ("/data/calls", "calls"),
        ("/data/calls/", "calls"),
        ("/data/calls/*.vtt", "calls"),
        ("/data/calls/**/*", "calls"),
        ("/data/calls-*.jsonl", "calls"),
        ("/data/calls.2026.csv.gz", "calls"),
        ("/*", "rows"),
        ("-", "stdin"),
    ],
)
def test_name_says_the_task_and_what_the_caller_typed(typed, stem):
    assert name_of("orders.enrich", "", (typed,)).startswith(f"orders.enrich-{stem}-")


def test_name_is_the_same_for_the_same_words_only(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    out = Path("out.jsonl")
    words = ("orders.enrich", "", ("calls/*",), out)
    others = [
        ("x", "", ("calls/*",), out),
        ("orders.enrich", "a", ("calls/*",), out),
        ("orders.enrich", "", ("calls",), out),
        ("orders.enrich", "", ("calls/*",), Path("other.jsonl")),
        ("orders.enrich", "", ("calls/*",)),
    ]

    assert name_of(*words) == name_of("orders.enrich", "", (str(tmp_path / "calls" / "*"),), tmp_path / out)
    assert name_of(*words) not in [name_of(*other) for other in others]
