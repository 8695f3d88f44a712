"""``python -m worker VERB``: what runs beside Celery. A verb loads its own module only, so it starts fast."""

import sys
from importlib import import_module

#: Each verb, and the module whose ``main`` takes its arguments and returns the exit code.
VERBS = {
    "health": "worker.health",
    "metrics": "worker.metrics.command",
}
_USAGE = 2


def main(words: list[str]) -> int:
    """Run the verb that *words* begin with; return its exit code."""
    verb, *arguments = words or [""]
    if verb not in VERBS:
        sys.stderr.write(f"usage: python -m worker {{{','.join(VERBS)}}} ...\n")
        return _USAGE
    return int(import_module(VERBS[verb]).main(arguments))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
