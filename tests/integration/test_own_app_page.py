"""Holds docs/own-app.md to what it says: its blocks are written into a folder and run, without any server."""

import os
import re
import shutil
import subprocess
import sys
import tomllib
from dataclasses import MISSING, fields
from pathlib import Path

import pytest

from askonce import JobSpec, RetryPolicy
from tests.deadlines import stretched

pytestmark = pytest.mark.integration

HERE, ROOT = Path(__file__).parent, Path(__file__).parents[2]
PAGE = ROOT / "docs/own-app.md"
TEXT = PAGE.read_text()
BLOCKS = re.findall(r"^```(\w*)\n(.*?)^```$", TEXT, re.DOTALL | re.MULTILINE)
ROWS = dict(re.findall(r"^\| `(\w+)` \| `([^`]+)` \|", TEXT, re.MULTILINE))


@pytest.fixture
def folder(tmp_path):
    """The files of the page."""
    for language, block in BLOCKS:
        if language == "python":
            name = re.match(r"# (\w+\.py)\n", block)[1]
            with (tmp_path / name).open("a") as file:
                file.write(block)
    shutil.copy(HERE / "own_app_page.py", tmp_path / "test_page.py")
    return tmp_path


@pytest.mark.long
def test_files_of_the_page_do_what_the_page_says(folder):
    env = {
        **os.environ,
        "PYTHONPATH": f"{ROOT}:{folder}",
        "OWN_APP_PAGE": str(PAGE),
        "OWN_APP_SECONDS": str(stretched(30)),
    }
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-q",
        "-p",
        "no:randomly",
        "-p",
        "no:cacheprovider",
        "--rootdir",
        ".",
    ]
    done = subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, check=False)

    assert 0 == done.returncode, done.stdout[-8000:]


def test_every_block_is_a_file_or_a_command():
    assert {"python", ""} == {language for language, _ in BLOCKS}


@pytest.mark.parametrize("kind", [JobSpec, RetryPolicy])
def test_every_field_and_its_default_are_on_the_page(kind):
    for field in fields(kind):
        default = field.default if field.default is not MISSING else field.default_factory()
        told = ROWS.get(field.name)
        assert told or (field.name, kind) == ("name", JobSpec)
        assert not told or eval(told, {"RetryPolicy": RetryPolicy}) == default


def test_versions_of_the_page_are_the_required_ones():
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]

    assert "celery>=5.7,<6" in extras["celery"]
    assert "| Celery, kombu | 5.7 or newer, below 6 |" in TEXT
    assert "redis>=8,<9" in extras["redis"]
    assert "| redis-py | 8 |" in TEXT
    assert "askonce[celery,redis]" in TEXT
