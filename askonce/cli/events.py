"""Shows events to who runs a command, on request."""

from __future__ import annotations

import logging

from askonce.line import LineFormatter


def show_events(*, verbose: bool) -> None:
    """Write each event to stderr if *verbose*; otherwise only where the application itself logs."""
    logger = logging.getLogger("askonce")
    if not verbose:
        # Where nobody handles it, logging writes a warning to stderr.
        logger.addHandler(logging.NullHandler())
        return
    handler = logging.StreamHandler()
    handler.setFormatter(LineFormatter("%(asctime)s %(levelname)s %(message)s"))
    logging.basicConfig(handlers=[handler])
    logger.setLevel(logging.INFO)
