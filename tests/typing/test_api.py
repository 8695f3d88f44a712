import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
API = Path(__file__).with_name("api.py")
ERRORS = API.with_name("errors.py")
ASYNCHRONOUS = API.with_name("asynchronous.py")
FUNCTIONS = API.with_name("functions.py")


def check(file, cache):
    """Run the type checker on *file*; return its exit code and what it says."""
    command = [sys.executable, "-m", "mypy", "--strict", "--no-error-summary", "--cache-dir", str(cache)]
    done = subprocess.run(
        [*command, "--config-file", "pyproject.toml", str(file)],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
        timeout=110,
    )
    return done.returncode, done.stdout + done.stderr


@pytest.fixture(scope="module")
def cache(tmp_path_factory):
    return tmp_path_factory.mktemp("mypy")


@pytest.mark.parametrize("file", [API, ERRORS, ASYNCHRONOUS, FUNCTIONS], ids=lambda file: file.stem)
def test_public_api_passes_the_type_checker(cache, file):
    assert check(file, cache) == (0, "")


@pytest.mark.parametrize(
    ("promise", "broken"),
    [
        ('        case Conflict():\n            return "conflict"\n', ""),
        ("assert_type(result.cost_usd, float | None)", "assert_type(result.cost_usd, float)"),
        pytest.param(
            '            return "duplicate"', "            return outcome.handle.job", marks=pytest.mark.long
        ),
        pytest.param(
            "store.start(lease, job)  # type: ignore[arg-type]",
            "store.start(lease, job)",
            marks=pytest.mark.long,
        ),
        pytest.param("store.start(lease, job)  #", "store.start(job, lease)  #", marks=pytest.mark.long),
    ],
    ids=[
        "outcome forgotten",
        "unknown cost forgotten",
        "handle of a duplicate",
        "swapped arguments",
        "ignore that is not needed",
    ],
)
def test_checker_notices_a_broken_promise(cache, tmp_path, promise, broken):
    text = API.read_text()
    assert promise in text
    (tmp_path / "broken.py").write_text(text.replace(promise, broken))

    code, _ = check(tmp_path / "broken.py", cache)

    assert code == 1
