"""What the words of one ``submit`` exclude."""

from pathlib import Path

import pytest

from producer.run.wanted import Wanted, WantedImpossible

OUT = Path("out.jsonl")


def test_rows_go_to_a_file_or_to_stdout():
    wanted = Wanted(task="rates.fetch", inputs=("rows.csv",), out=OUT, as_json=True)

    with pytest.raises(WantedImpossible, match="--json is for stdout, and --out FILE for a file"):
        wanted.require_possible()


def test_forecast_of_a_run_that_writes_a_file_goes_to_stdout_as_json():
    Wanted(task="rates.fetch", inputs=("rows.csv",), out=OUT, as_json=True, dry_run=True).require_possible()


def test_name_of_a_run_that_a_shell_left_empty_is_refused():
    with pytest.raises(WantedImpossible, match="--run is empty"):
        Wanted(task="rates.fetch", inputs=("rows.csv",), run="").require_possible()


@pytest.mark.parametrize("name", ["", ".", "/"])
def test_output_that_is_no_name_of_a_file_is_refused(name):
    with pytest.raises(WantedImpossible, match="--out is no name of a file"):
        Wanted(task="rates.fetch", inputs=("rows.csv",), out=Path(name)).require_possible()


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ({}, False),
        ({"out": OUT, "wait": True}, False),
        ({"out": Path("-")}, True),
        ({"wait": True}, True),
        ({"as_json": True}, True),
    ],
)
def test_rows_that_come_to_the_terminal_are_known(words, expected):
    assert expected == Wanted(task="rates.fetch", inputs=("rows.csv",), **words).writes_to_stdout
