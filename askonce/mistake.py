"""Names a mistake in the app's own code, without its text: the text may quote the payload."""

from __future__ import annotations

from pathlib import PurePath


def name_of(exc: BaseException) -> str:
    """Return the class of *exc* and the line that raised it."""
    trace = exc.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    if trace is None:
        return type(exc).__name__
    return f"{type(exc).__name__}@{PurePath(trace.tb_frame.f_code.co_filename).name}:{trace.tb_lineno}"
