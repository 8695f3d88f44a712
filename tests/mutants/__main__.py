"""Break each guard in a copy of the project, run the test that should notice, and print who did.

Ends with 1 if a mutant survives, or if the table itself is wrong: a text that is not there once, a
test that does not pass as things are.
"""

import os
import shutil
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from queue import SimpleQueue
from tempfile import TemporaryDirectory

from tests.model.explore import explore
from tests.model.variants import VARIANTS
from tests.mutants.copies import Copy
from tests.mutants.table import MUTANTS

ROOT = Path(__file__).parents[2]
LEFT_OUT = shutil.ignore_patterns(".*", "__pycache__")
#: So many mutants are judged at once, each in a copy of its own. Some tests wait long before they fail.
COPIES = 3 * (os.cpu_count() or 1)
ROW = "{:<40} {:<22} {}"


def main():
    with TemporaryDirectory(prefix="askonce-mutants-") as name, ExitStack() as stack:
        folders = [Path(name) / str(number) / "project" for number in range(min(COPIES, len(MUTANTS)))]
        first = Copy(shutil.copytree(ROOT, folders[0], ignore=LEFT_OUT))
        verdicts, told = first.run_all(sorted({mutant.killed_by for mutant in MUTANTS}), COPIES)
        if set(verdicts) != {"passed"}:
            return f"not all of the tests pass as things are:\n{told}"
        copies = SimpleQueue()
        # The others with what the first run compiled.
        for copy in (first, *(Copy(shutil.copytree(first.folder, folder)) for folder in folders[1:])):
            copies.put(stack.enter_context(copy))
        print(ROW.format("mutant", "caught by the model", "killed by"))
        with ThreadPoolExecutor(copies.qsize()) as pool:
            judged = pool.map(partial(judge, copies), MUTANTS)
            missed = [mutant for mutant, noticed in zip(MUTANTS, judged, strict=True) if not noticed]
        # A race that a busy machine did not show is asked for once more, and its line above stays.
        survivors = [mutant.name for mutant in missed if not judge(copies, mutant)]
    return f"survived twice: {', '.join(survivors)}" if survivors else 0


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
    path = copy.folder / mutant.file
    whole, status = path.read_text(), path.stat()
    if whole.count(mutant.sound) != 1:
        sys.exit(f"{mutant.name}: its text stands {whole.count(mutant.sound)} times in {mutant.file}")
    path.write_text(whole.replace(mutant.sound, mutant.broken))
    # Never the time of the file that was compiled: the compiled one would be taken.
    os.utime(path, (0, 0))
    try:
        verdicts, told = copy.run_alone(mutant.killed_by)
    finally:
        path.write_text(whole)
        os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))
    # A test has several where it has parameters: one that notices is enough.
    if not verdicts or {*verdicts} - {"passed", "refuted"}:
        sys.exit(f"{mutant.name}: the test could not be run:\n{told}")
    return "refuted" in verdicts


if __name__ == "__main__":
    sys.exit(main())
