"""How ``submit`` ends where its run cannot begin or go on: one line of its display, and an exit code."""

import json

import click
import pytest
from click.testing import CliRunner

from askonce.errors import JobError, SendFailed, StoreUnavailable
from producer.__main__ import cli
from producer.inputs import InputInvalid
from producer.run.billed import Billed
from producer.run.errors import (
    JournalInvalid,
    LimitImpossible,
    OutputFailed,
    OutputUnopened,
    OutputUnusable,
    RunDiffers,
    RunTaken,
)
from settings import environment

ENDS = [
    (InputInvalid("rows.csv", "is binary"), 2, "rows.csv: is binary"),
    (OutputUnusable(file="x"), 2, "--out names what cannot be an output: file=x"),
    (RunDiffers(file="x"), 2, "The journal belongs to another run"),
    (JournalInvalid(file="x", line=3), 2, "The journal of the run is damaged"),
    (LimitImpossible(option="--max-cost"), 2, "The limit cannot be held: option=--max-cost"),
    (click.UsageError("unknown task 'a'; there are: b"), 2, "unknown task 'a'; there are: b"),
    (JobError(), 1, "A job could not be done"),
    (StoreUnavailable(verb="hold"), 69, "The store did not answer or refused: verb=hold"),
    (SendFailed(), 69, "The broker did not accept the message"),
    (OutputFailed(file="x"), 74, "The output cannot be written; the rows that ended are kept in the journal"),
    (OutputUnopened(file="x"), 74, "The output cannot be written; nothing was enqueued: file=x"),
    (RunTaken(run="x"), 75, "Another process works on this run: run=x"),
    (environment.SettingsInvalid("REDIS_PORT: no number"), 78, "bad configuration: REDIS_PORT: no number"),
    (KeyboardInterrupt(), 130, "interrupted"),
    (click.Abort(), 130, "interrupted"),
]


@pytest.mark.parametrize(("end", "code", "line"), ENDS, ids=[type(end).__name__ for end, _, _ in ENDS])
def test_every_line_is_an_object_where_a_run_cannot_begin(monkeypatch, end, code, line):
    def go(_billed):
        raise end

    monkeypatch.setattr(Billed, "go", go)

    told = CliRunner().invoke(cli, ["submit", "orders.enrich", "rows.csv", "--out", "rows.jsonl"])

    first, last = map(json.loads, told.stderr.splitlines())
    assert ("started", "error", code) == (first["event"], last["event"], told.exit_code)
    assert last["line"].startswith(line)


def test_bad_configuration_is_an_object_before_anything_is_read(monkeypatch):
    def load():
        raise environment.SettingsInvalid("REDIS_PORT: no number")

    monkeypatch.setattr(environment, "load", load)

    told = CliRunner().invoke(cli, ["submit", "orders.enrich", "absent.csv"])

    *_, last = map(json.loads, told.stderr.splitlines())
    assert ("bad configuration: REDIS_PORT: no number", 78) == (last["line"], told.exit_code)


def test_output_that_ends_like_a_folder_is_no_file(tmp_path):
    told = CliRunner().invoke(cli, ["submit", "orders.enrich", "rows.csv", "--out", f"{tmp_path}/results/"])

    assert (2, []) == (told.exit_code, list(tmp_path.iterdir()))
    assert "is a folder: name a file in it" in told.stderr
