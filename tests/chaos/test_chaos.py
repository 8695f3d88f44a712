import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.chaos import schedule
from tests.chaos.mutants import MUTANTS

ROOT = Path(__file__).parents[2]
SEEDS = range(1, 21)


def run(*options):
    command = [sys.executable, "-m", "tests.chaos", *map(str, options)]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)


def test_same_seed_has_the_same_faults_and_another_has_others():
    assert schedule.chaos(7, 60) == schedule.chaos(7, 60)
    assert schedule.chaos(7, 60) != schedule.chaos(8, 60)
    assert schedule.soak(7, 60) == schedule.soak(7, 60)


def test_every_kind_of_fault_comes_up():
    drawn = {fault.kind for seed in SEEDS for fault in schedule.chaos(seed, 20)}

    assert drawn == schedule.KINDS.keys()


@pytest.mark.fault
@pytest.mark.long
@pytest.mark.timeout(240)
def test_promises_hold_while_things_break():
    done = run("--seed", 1, "--seconds", 8)

    assert 0 == done.returncode, done.stdout + done.stderr
    # Something was asked, and something was broken.
    assert int(re.search(r"(\d+) calls", done.stdout)[1]) > 0
    assert "faults {'" in done.stdout


@pytest.mark.chaos
@pytest.mark.timeout(300)
@pytest.mark.parametrize("seed", SEEDS)
def test_promises_hold_whatever_breaks(seed):
    done = run("--seed", seed, "--seconds", 20)

    assert 0 == done.returncode, done.stdout + done.stderr


@pytest.mark.chaos
@pytest.mark.timeout(6000)
@pytest.mark.parametrize("mutant", MUTANTS)
def test_broken_script_is_found_within_twenty_seeds(mutant):
    stories = (run("--seed", seed, "--seconds", 20, "--mutant", mutant).stdout for seed in SEEDS)

    assert any(re.search("no order explains|started during a pause", story) for story in stories)
