"""``python -S -m benchmarks.peak FILE COMMAND ...``: run COMMAND, and write what memory it had at most.

Linux counts for a new process what its parent had when it began, so a small process has to start the command.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path


def main() -> int:
    """Write bytes; return the command's exit code."""
    file, *command = sys.argv[1:]
    _, status, usage = os.wait4(os.spawnvp(os.P_NOWAIT, command[0], command), 0)
    Path(file).write_text(str(usage.ru_maxrss * 1024))
    return os.waitstatus_to_exitcode(status)


if __name__ == "__main__":
    sys.exit(main())
