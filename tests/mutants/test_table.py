from pathlib import Path

import pytest

from tests.model.variants import VARIANTS
from tests.mutants.table import MUTANTS

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_text_is_once_in_its_file_and_its_test_exists(mutant):
    file, _, test = mutant.killed_by.partition("::")

    assert 1 == (ROOT / mutant.file).read_text().count(mutant.sound)
    assert f"\ndef {test.partition('[')[0]}(" in (ROOT / file).read_text()


def test_every_broken_design_is_a_mutant_of_the_code_too():
    assert set(VARIANTS) == {mutant.variant for mutant in MUTANTS} - {""}
