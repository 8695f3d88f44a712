"""The promises of batches at a small size; ``python -m tests.batches`` has the full one."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]

pytestmark = [
    pytest.mark.acceptance,
    pytest.mark.long,
    pytest.mark.timeout(240),
    pytest.mark.redis_broker("has servers of its own"),
]


def run(*options):
    command = [sys.executable, "-m", "tests.batches", *map(str, options)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


@pytest.mark.parametrize("over", [(), ("--whole",)], ids=["parts", "whole"])
def test_producers_of_the_same_rows_pay_for_each_distinct_row_once(over):
    done = run("shared", "--rows", 1000, *over)

    assert 0 == done.returncode, done.stdout + done.stderr
    assert "100 distinct" in done.stdout


def test_long_queue_that_is_paused_is_one_message_for_each_job():
    done = run("paused", "--jobs", 500, "--hours", 0.05)

    assert 0 == done.returncode, done.stdout + done.stderr
    assert "1.00 messages a job" in done.stdout


def test_cost_of_a_run_is_inside_of_what_its_pilot_shows():
    done = run("pilot", "--seeds", 1, "--rows", 300, "--pilot", 60)

    assert 0 == done.returncode, done.stdout + done.stderr
    assert "1 of 1 inside" in done.stdout
