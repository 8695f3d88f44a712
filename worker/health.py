"""``python -m worker health live|ready``: a probe for supervisors, which loads nothing but Python itself."""

import os
import sys
from pathlib import Path

from worker.heartbeat import trouble

_FOLDER = "HEALTH_FOLDER"
_UNHEALTHY, _USAGE = 1, 2


def main(arguments: list[str]) -> int:
    """Print why the process of HEALTH_FOLDER is not live, or not ready; return 0 where it is."""
    if arguments not in (["live"], ["ready"]):
        sys.stderr.write("usage: python -m worker health {live,ready}\n")
        return _USAGE
    folder = os.environ.get(_FOLDER)
    if not folder:
        # A probe runs in the environment of its process, and reads no .env.
        sys.stderr.write(
            f"bad configuration: {_FOLDER}: must be set in the environment of process and probe\n"
        )
        return os.EX_CONFIG
    found = trouble(Path(folder), ready=arguments == ["ready"])
    if found is not None:
        sys.stderr.write(f"{found}\n")
        return _UNHEALTHY
    return 0
