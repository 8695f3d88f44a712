"""Words of a command line that are not UTF-8: names of files may be so, and nothing else."""

import json
import os

import pytest
from click.testing import CliRunner

from producer.__main__ import cli

#: As Python reads the bytes of Latin-1.
CAFE = os.fsdecode(b"caf\xe9")
KEY = "0" * 64


@pytest.mark.parametrize(
    "words",
    [
        ["jobs", "list", "--task", CAFE],
        ["jobs", "cancel", "--tenant", CAFE],
        ["jobs", "show", "rates.fetch", f"currency={CAFE}"],
        ["cancel", KEY, "--run", CAFE],
        ["dead", "replay", "--reason", CAFE],
        ["explain", "rates.fetch", "{}", "--tenant", CAFE],
        ["queue", "peek", CAFE],
        ["runs", "show", CAFE],
        ["schedule", "run", CAFE],
    ],
    ids=" ".join,
)
def test_word_that_is_not_utf_8_is_refused_before_anything_is_done(scene, verb, words):
    told = verb(*words)

    assert (2, []) == (told.exit_code, list(scene.store.audit.entries()))
    assert "\\udce9' is not UTF-8" in told.stderr.splitlines()[-1]


def test_tenant_of_submitted_rows_that_is_not_utf_8_is_refused():
    told = CliRunner().invoke(cli, ["submit", "orders.enrich", f"{CAFE}.jsonl", "--tenant", CAFE])

    assert (2, True) == (told.exit_code, "'--tenant': 'caf\\udce9' is not UTF-8" in told.stderr)


def test_file_whose_name_is_not_utf_8_is_read(scene, verb, tmp_path):
    key, file = scene.ask({"currency": "BRL"}).key, tmp_path / f"{CAFE}.jsonl"
    file.write_text('{"currency":"BRL"}\n')

    explained = verb("explain", "rates.fetch", file)
    ended = verb("cancel", file, "--task", "rates.fetch")

    assert (0, key) == (explained.exit_code, json.loads(explained.stdout)["key"])
    assert (0, "idle") == (ended.exit_code, scene.read(key).flight)


def test_run_whose_name_is_not_utf_8_is_refused(verb):
    assert 2 == verb("cancel", CAFE).exit_code
