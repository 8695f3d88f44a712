"""Break each guard in a copy of the project, run the test that should notice, and print who did.

Ends with 1 if a mutant survives, or if the table itself is wrong: a text that is not there once, a
test that does not pass as things are.
"""

import os
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from queue import SimpleQueue
from tempfile import TemporaryDirectory
from xml.etree import ElementTree as ET

from tests.deadlines import stretched
from tests.model.explore import explore
from tests.model.variants import VARIANTS
from tests.mutants.table import MUTANTS

ROOT = Path(__file__).parents[2]
LEFT_OUT = shutil.ignore_patterns(".*", "__pycache__")
#: So many mutants are judged at once, each in a copy of its own.
COPIES = os.cpu_count() or 1
ROW = "{:<40} {:<22} {}"


def main():
    with TemporaryDirectory(prefix="askonce-mutants-") as folder:
        first = new_copy(Path(folder) / "0")
        verdicts, told = run(first, sorted({mutant.killed_by for mutant in MUTANTS}), is_sound=True)
        if set(verdicts) != {"passed"}:
            return f"not all of the tests pass as things are:\n{told}"
        copies = SimpleQueue()
        copies.put(first)
        for number in range(1, min(COPIES, len(MUTANTS))):
            # With what the first run compiled.
            copies.put(shutil.copytree(first, Path(folder) / str(number) / "project"))
        print(ROW.format("mutant", "caught by the model", "killed by"))
        with ThreadPoolExecutor(copies.qsize()) as pool:
            judged = pool.map(partial(judge, copies), MUTANTS)
            survivors = [mutant.name for mutant, noticed in zip(MUTANTS, judged, strict=True) if not noticed]
    return f"survived: {', '.join(survivors)}" if survivors else 0


def new_copy(folder):
    """Copy the project to *folder*, which is made for it alone: what runs there leaves its report in it."""
    return Path(shutil.copytree(ROOT, folder / "project", ignore=LEFT_OUT))


def judge(copies, mutant):
    """Print what becomes of *mutant* in a free copy; return whether it was noticed where it should be."""
    copy = copies.get()
    try:
        steps, killed = by_model(mutant), by_test(copy, mutant)
    finally:
        copies.put(copy)
    test = mutant.killed_by.rpartition("::")[2]
    caught = f"in {steps} steps" if steps else "NOT CAUGHT" if mutant.variant else "-"
    print(ROW.format(mutant.name, caught, test if killed else f"SURVIVES {test}"), flush=True)
    return killed and bool(steps or not mutant.variant)


def by_model(mutant):
    """Return how many steps the shortest history has that shows *mutant*'s fault; 0 for none."""
    if not mutant.variant:
        return 0
    rules, breaks, budget = VARIANTS[mutant.variant]
    return len(explore(rules, budget, until=breaks).broken.get(breaks, ()))


def by_test(copy, mutant):
    path = copy / mutant.file
    whole, status = path.read_text(), path.stat()
    if whole.count(mutant.sound) != 1:
        sys.exit(f"{mutant.name}: its text stands {whole.count(mutant.sound)} times in {mutant.file}")
    path.write_text(whole.replace(mutant.sound, mutant.broken))
    # Never the time of the file that was compiled: the compiled one would be taken.
    os.utime(path, (0, 0))
    try:
        verdicts, told = run(copy, [mutant.killed_by])
    finally:
        path.write_text(whole)
        os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    # A test has several where it has parameters: one that notices is enough.
    if not verdicts or {*verdicts} - {"passed", "refuted"}:
        sys.exit(f"{mutant.name}: the test could not be run:\n{told}")
    return "refuted" in verdicts


def run(copy, tests, *, is_sound=False):
    """Run *tests* in *copy*; return each one's verdict, and what pytest said.

    What a *sound* copy compiles is kept there, and nothing of a mutant.

    ``refuted`` is a failed assertion, or a test's own ``pytest.fail``. Anything else that ends a test has
    its own name.
    """
    report = copy.parent / "report.xml"
    report.unlink(missing_ok=True)
    # The copy comes before the project that the interpreter has installed.
    environment = os.environ | {
        "PYTHONPATH": str(copy),
        "PYTHONDONTWRITEBYTECODE": "" if is_sound else "1",
    }
    arguments = ["-q", "--tb=short", "-p", "no:randomly", "-p", "no:cacheprovider", f"--junitxml={report}"]
    # All tests, or one.
    arguments += ["-n", str(COPIES)] if is_sound else []
    done = subprocess.run(
        [sys.executable, "-m", "pytest", *arguments, *tests],
        cwd=copy,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=stretched(600),
    )
    cases = ET.parse(report).iter("testcase") if report.exists() else ()
    return [_verdict(case) for case in cases], done.stdout + done.stderr


def _verdict(case):
    for end in case:
        message = end.get("message", "")
        refuted = message.startswith(("AssertionError", "assert ", "Failed: "))
        # A test that ran out of time proves nothing.
        refuted = refuted and end.tag == "failure" and not message.startswith("Failed: Timeout")
        return "refuted" if refuted else f"{end.tag}: {message}"
    return "passed"


if __name__ == "__main__":
    sys.exit(main())
