import pytest

from tests.mutants import __main__ as runner
from tests.mutants.copies import Copy
from tests.mutants.mutant import Mutant

#: Each runs pytest in processes of its own.
pytestmark = pytest.mark.long

GUARD = "def twice(number):\n    return number * 2\n"
TEST = "from guard import twice\n\n\ndef test_twice():\n    assert 4 == twice(2)\n"

#: Notices a broken guard the second time.
SELDOM = """
from pathlib import Path
from guard import twice

def test_twice():
    missed = Path("missed")
    if twice(3) != 6:
        assert not missed.exists()
        missed.touch()
"""


@pytest.fixture
def project(tmp_path):
    folder = tmp_path / "project"
    folder.mkdir()
    (folder / "guard.py").write_text(GUARD)
    (folder / "test_guard.py").write_text(TEST)
    with Copy(folder) as copy:
        yield copy


def mutant(sound, broken):
    return Mutant("a mutant", "guard.py", sound, broken, "test_guard.py::test_twice")


def test_mutant_that_no_test_notices_survives_and_is_undone(project):
    assert runner.by_test(project, mutant("* 2", "* 3")) is True
    assert runner.by_test(project, mutant("number * 2", "number + number")) is False
    assert GUARD == (project.folder / "guard.py").read_text()


@pytest.mark.parametrize(
    ("sound", "broken", "told"),
    [
        ("* 5", "* 3", "stands 0 times"),
        ("number", "amount", "stands 2 times"),
        ("* 2", "* two", "could not be run"),
        ("return", "retrun", "could not be run"),
    ],
)
def test_mutant_that_proves_nothing_ends_the_run(project, sound, broken, told):
    with pytest.raises(SystemExit, match=told):
        runner.by_test(project, mutant(sound, broken))


def test_survivor_is_named_at_the_end(project, monkeypatch):
    survivor = mutant("number * 2", "number + number")
    monkeypatch.setattr(runner, "ROOT", project.folder)
    monkeypatch.setattr(runner, "MUTANTS", (survivor, mutant("* 2", "* 3")))

    assert "survived twice: a mutant" == runner.main()


def test_mutant_that_its_test_noticed_at_the_second_try_is_no_survivor(project, monkeypatch):
    (project.folder / "test_guard.py").write_text(SELDOM)
    monkeypatch.setattr(runner, "ROOT", project.folder)
    monkeypatch.setattr(runner, "MUTANTS", (mutant("* 2", "* 3"),))

    assert 0 == runner.main()
