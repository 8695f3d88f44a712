"""Becomes another program that ends when the process that started it ends, even by SIGKILL.

``python -m sandbox.run_with_parent [SIGNAL] -- PROGRAM ARGUMENT...``; the process id stays the same, and
SIGNAL is the name of what ends it, SIGTERM if none is given. The request to the kernel survives the change
of program only on Linux: elsewhere the program may outlive a killed parent.
"""

import os
import signal
import sys

from sandbox.parent import die_with_parent


def main() -> None:
    """Ask the kernel to watch the parent, then run what stands after ``--``."""
    options, command = sys.argv[1 : sys.argv.index("--")], sys.argv[sys.argv.index("--") + 1 :]
    die_with_parent(*(signal.Signals[name] for name in options))
    os.execv(command[0], command)  # noqa: S606  # the caller names the program; no shell is meant


if __name__ == "__main__":
    main()
