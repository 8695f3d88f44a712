"""``python -m sandbox demo`` and ``python -m sandbox up``."""

import argparse
import sys


def main() -> int:
    """Run one of the two."""
    parser = argparse.ArgumentParser(prog="python -m sandbox", description="Everything on one bare machine.")
    commands = parser.add_subparsers(dest="command", required=True)
    demo = commands.add_parser("demo", help="ask many times, kill a worker, count the calls")
    demo.add_argument("--live", action="store_true", help="use the real OpenAI service; it costs money")
    commands.add_parser("up", help="keep everything running until Ctrl-C")
    options = parser.parse_args()
    if options.command == "demo":
        from sandbox.demo import run as run_demo

        return run_demo(live=options.live)
    from sandbox.up import run as run_up

    return run_up()


if __name__ == "__main__":
    sys.exit(main())
