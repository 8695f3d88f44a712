"""``python -m tests.batches shared|paused|pilot``: a promise of batches at full size, with real processes.

Exit codes: 0 it held, 1 it was broken, 2 usage.
"""

import argparse
import sys
import tempfile
from pathlib import Path

from tests.batches import paused, pilot, shared


def main(arguments=None):
    options = _parse(arguments)
    with tempfile.TemporaryDirectory(prefix="askonce-batches-") as folder:
        seen = options.prove(Path(options.keep or folder), options)
    print(*seen.said, *(f"BROKEN: {each}" for each in seen.broken), sep="\n")
    return 1 if seen.broken else 0


def _parse(arguments):
    parser = argparse.ArgumentParser(prog="python -m tests.batches", description=__doc__)
    parser.add_argument("--keep", default="", metavar="FOLDER", help="keep inputs, outputs and logs here")
    names = parser.add_subparsers(dest="name", required=True)
    for module in (shared, paused, pilot):
        name = module.__name__.rpartition(".")[2]
        proof = names.add_parser(name, description=module.__doc__, help=module.__doc__.splitlines()[0])
        module.add_options(proof)
        proof.set_defaults(prove=module.prove)
    return parser.parse_args(arguments)


if __name__ == "__main__":
    sys.exit(main())
