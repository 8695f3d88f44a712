"""Replaces itself by another program, which ends when the parent process ends, even by SIGKILL.

``python -m sandbox.run_with_parent [SIGNAL] -- PROGRAM ARGUMENT...``

The process id stays the same. SIGNAL is the name of the signal that ends the program; SIGTERM by default.
Only on Linux does the request to the kernel survive ``exec``. On other systems the program may outlive a
parent that is killed.
"""

import os
import signal
import sys

from sandbox.parent import die_with_parent


def main() -> None:
    """Make the kernel watch the parent, then run the command after ``--``."""
    options, command = sys.argv[1 : sys.argv.index("--")], sys.argv[sys.argv.index("--") + 1 :]
    die_with_parent(*(signal.Signals[name] for name in options))
    os.execv(command[0], command)  # noqa: S606  # the caller names the program; no shell is used


if __name__ == "__main__":
    main()
