"""Copies of the project, in which its tests run: all at once as things are, and one alone, fast."""

import json
import os
import subprocess
import sys
from contextlib import suppress
from pathlib import Path
from socket import socketpair
from xml.etree import ElementTree as ET

from tests.deadlines import stretched

FORKS = Path(__file__).with_name("forks.py")
ARGUMENTS = ("-q", "--tb=short", "-p", "no:randomly", "-p", "no:cacheprovider")


class Copy:
    """The project in *folder*, which has a folder above it for this copy alone: reports are left there."""

    def __init__(self, folder):
        self.folder = folder
        self._report, self._told = folder.parent / "report.xml", folder.parent / "told.txt"

    def __enter__(self):
        self._link, theirs = socketpair()
        with theirs:
            self._forks = subprocess.Popen(
                [sys.executable, "-P", FORKS, str(theirs.fileno())],
                pass_fds=[theirs.fileno()],
                # Nothing of a mutant is kept compiled.
                env=os.environ | {"PYTHONDONTWRITEBYTECODE": "1"},
            )
        self._lines = self._link.makefile("rw")
        # Of forks that could not start.
        self._told.write_text("no run\n")
        return self

    def __exit__(self, *_):
        with suppress(BrokenPipeError):
            self._lines.close()
        self._link.close()
        with self._forks:
            self._forks.terminate()

    def run_alone(self, test):
        """Run *test* in a fork that has the libraries; return its verdicts, and what pytest said.

        A test has several verdicts where it has parameters.
        """
        self._report.unlink(missing_ok=True)
        self._link.settimeout(stretched(600))
        # Pytest would rewrite the asserts of plugins that the forks have imported: those have none of ours.
        early = ("-W", "ignore::pytest.PytestAssertRewriteWarning")
        arguments = [*ARGUMENTS, *early, f"--junitxml={self._report}", test]
        run = {"folder": str(self.folder), "arguments": arguments, "told": str(self._told)}
        print(json.dumps(run), file=self._lines, flush=True)
        self._lines.readline()
        # A broken filter lets through what it should not, also to the terminal of its test.
        return self._verdicts(), self._told.read_text(errors="replace")

    def run_all(self, tests, processes):
        """Run *tests* as things are, and keep what is compiled; return as for one test."""
        self._report.unlink(missing_ok=True)
        arguments = [*ARGUMENTS, f"--junitxml={self._report}", f"-n{processes}", *tests]
        done = subprocess.run(
            [sys.executable, "-m", "pytest", *arguments],
            cwd=self.folder,
            # The copy comes before the project that the interpreter has installed.
            env=os.environ | {"PYTHONPATH": str(self.folder), "PYTHONDONTWRITEBYTECODE": ""},
            capture_output=True,
            text=True,
            check=False,
            timeout=stretched(600),
        )
        return self._verdicts(), done.stdout + done.stderr

    def _verdicts(self):
        cases = ET.parse(self._report).iter("testcase") if self._report.exists() else ()
        return [_verdict(case) for case in cases]


def _verdict(case):
    """Return "passed", or "refuted": by an assertion or a test's own ``pytest.fail``.

    Anything else that ends a test has its own name.
    """
    for end in case:
        message = end.get("message", "")
        refuted = message.startswith(("AssertionError", "assert ", "Failed: "))
        # A test that ran out of time proves nothing.
        refuted = refuted and end.tag == "failure" and not message.startswith("Failed: Timeout")
        return "refuted" if refuted else f"{end.tag}: {message}"
    return "passed"
