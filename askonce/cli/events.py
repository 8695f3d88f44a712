"""Shows events to who runs a command, on request."""

from __future__ import annotations

import logging


def show_events(*, verbose: bool) -> None:
    """Write each event to stderr if *verbose*; otherwise only where the application itself logs."""
    logger = logging.getLogger("askonce")
    if not verbose:
        # Where nobody handles it, logging writes a warning to stderr.
        logger.addHandler(logging.NullHandler())
        return
    logging.basicConfig(format="%(asctime)s %(levelname)s %(message)s")
    logger.setLevel(logging.INFO)
