"""Sets the wall clock of a process wrong, from its first import on: by SKEW_SECONDS."""

import os
import time

_skew = int(os.environ["SKEW_SECONDS"])
_seconds, _nanoseconds = time.time, time.time_ns

time.time = lambda: _seconds() + _skew
time.time_ns = lambda: _nanoseconds() + _skew * 1_000_000_000
