"""Decides that a process started by another one does not outlive it, however the parent ends."""

import ctypes
import os
import signal
import sys
import threading

_PR_SET_PDEATHSIG = 1  # linux/prctl.h
_POLL_SECONDS = 0.5


def die_with_parent(number: signal.Signals = signal.SIGTERM) -> None:
    """Send this process signal *number* when its parent is gone, even by SIGKILL.

    On Linux the kernel watches the *thread* that started this process: start it from one that lasts.
    Elsewhere the parent is polled twice a second. The first process of a container sees no parent and is left
    alone.
    """
    parent = os.getppid()
    if parent == 0:
        return
    if not _kernel_watches(number):
        threading.Thread(target=_watch, args=(parent, number), name="die-with-parent", daemon=True).start()
        return
    #  parent     ├─ starts us ─┤ dies
    #  this process    getppid()      prctl()     no signal will come: the death was before the request
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
