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
