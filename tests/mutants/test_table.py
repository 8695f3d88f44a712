from functools import cache
from pathlib import Path

from tests.model.variants import VARIANTS
from tests.mutants.table import MUTANTS

ROOT = Path(__file__).parents[2]


@cache
def text_of(file):
    return (ROOT / file).read_text()


def is_sound(mutant):
    file, _, test = mutant.killed_by.partition("::")
    is_there = f"\ndef {test.partition('[')[0]}(" in text_of(file)
    return is_there and 1 == text_of(mutant.file).count(mutant.sound)


def test_text_is_once_in_its_file_and_its_test_exists():
    assert [] == [mutant.name for mutant in MUTANTS if not is_sound(mutant)]


def test_every_broken_design_is_a_mutant_of_the_code_too():
    assert set(VARIANTS) == {mutant.variant for mutant in MUTANTS} - {""}
