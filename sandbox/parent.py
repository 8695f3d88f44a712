"""Ends a child process when its parent process ends, even if the parent is killed."""

import ctypes
import os
import signal
import sys
import threading

_PR_SET_PDEATHSIG = 1  # linux/prctl.h
_POLL_SECONDS = 0.5


def die_with_parent(number: signal.Signals = signal.SIGTERM) -> None:
    """Send signal *number* to this process when its parent ends, even by SIGKILL.

    On Linux the kernel watches the *thread* that started this process: start it from a thread that lives
    long enough. On other systems this process polls for its parent twice a second. The first process of a
    container has no visible parent; nothing is done for it.
    """
    parent = os.getppid()
    if parent == 0:
        return
    if not _kernel_watches(number):
        threading.Thread(target=_watch, args=(parent, number), name="die-with-parent", daemon=True).start()
        return
    #  parent        ├─ starts this process ─┤ ends
    #  this process      getppid()             prctl()   no signal: the parent ended before the request
    if os.getppid() != parent:
        os.kill(os.getpid(), number)


def _kernel_watches(number: signal.Signals) -> bool:
    if not sys.platform.startswith("linux"):
        return False
    try:
        return bool(ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, number) == 0)
    except (OSError, AttributeError):
        return False


def _watch(parent: int, number: signal.Signals) -> None:
    never = threading.Event()
    while os.getppid() == parent:
        never.wait(_POLL_SECONDS)
    os.kill(os.getpid(), number)
