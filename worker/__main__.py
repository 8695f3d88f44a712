"""The verbs beside the worker itself: ``python -m worker VERB``. A worker is started by ``celery``."""

import importlib
import sys

#: Each verb and the module whose ``main`` runs it. It is loaded when it is needed: some verbs run every few
#: seconds, and load no library.
VERBS = {"health": "worker.health", "metrics": "worker.metrics.command"}


def main(arguments: list[str]) -> int:
    """Run the verb that *arguments* begin with; return its exit code."""
    if not arguments or arguments[0] not in VERBS:
        sys.stderr.write(f"usage: python -m worker {'|'.join(sorted(VERBS))} ...\n")
        return 2
    return int(importlib.import_module(VERBS[arguments[0]]).main(arguments[1:]))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
