"""``python -m sandbox demo`` and ``python -m sandbox up``."""

import argparse
import sys
from pathlib import Path


def main() -> int:
    """Run the command on the command line."""
    parser = argparse.ArgumentParser(prog="python -m sandbox", description="Run everything on this machine.")
    commands = parser.add_subparsers(dest="command", required=True)
    demo = commands.add_parser("demo", help="enqueue jobs many times, kill a worker, count the paid calls")
    demo.add_argument("--live", action="store_true", help="call the real OpenAI service; this costs money")
    up = commands.add_parser("up", help="run everything until Ctrl-C")
    up.add_argument("--folder", type=Path, help="where its data is kept; without it: .sandbox in the project")
    up.add_argument("--fresh", action="store_true", help="delete the data of earlier sandboxes first")
    options = parser.parse_args()
    if options.command == "demo":
        from sandbox.demo import run as run_demo

        return run_demo(live=options.live)
    from sandbox.up import FOLDER
    from sandbox.up import run as run_up

    return run_up(options.folder or FOLDER, fresh=options.fresh)


if __name__ == "__main__":
    sys.exit(main())
