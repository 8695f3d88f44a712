# ruff: noqa: INP001  # Flower executes this file
"""Flower's settings: a login from a secret, read-only, and what it saw survives a restart.

    FLOWER_LOGIN_FILE=/run/secrets/flower_login FLOWER_DB=/var/lib/flower/state \
        celery -A worker.app flower --conf=deploy/flower/flowerconfig.py --address=0.0.0.0

The command line wins over this file, and so does a ``FLOWER_*`` variable. Flower ends with exit code 78 where
it would listen on more than this machine without a login.
"""

import ipaddress
import os
import sys
from functools import partialmethod
from pathlib import Path
from typing import Any

from flower.events import EventsState
from tornado.options import options

_LOOPBACK = "127.0.0.1"
#: Names a file with one ``user:password`` in each line.
_LOGIN_FILE = "FLOWER_LOGIN_FILE"

#: Flower's own default is every address.
address = options.address or _LOOPBACK
#: It could stop workers, revoke jobs that other callers share, and send messages in any task's name.
read_only = True
#: Brokers keep no events: without its file, Flower knows nothing after a restart of what came before.
persistent = "FLOWER_DB" in os.environ
#: Milliseconds. Flower answers no request while it saves.
state_save_interval = 60_000
max_tasks = 10_000
#: Seconds. Workers come and go under new names, and each would stay in the list and in /metrics.
purge_offline_workers = 600
#: Milliseconds that a page waits for what workers reply.
inspect_timeout = 5_000.0
tasks_columns = "name,state,kwargs,result,received,runtime,worker,uuid"
#: Seconds: a hit takes milliseconds, a model minutes.
task_runtime_metric_buckets = [0.01, 0.05, 0.1, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0, 60.0, 120.0, 300.0, 600.0]


def _end(what: str) -> None:
    sys.stderr.write(f"flower: {what}\n")
    sys.exit(os.EX_CONFIG)


def _logins() -> list[str]:
    """Return the logins in the file that the environment names."""
    named = os.environ.get(_LOGIN_FILE, "")
    if named and "FLOWER_BASIC_AUTH" in os.environ:
        _end(f"{_LOGIN_FILE} and FLOWER_BASIC_AUTH are both set: which logins count?")
    try:
        lines = Path(named).read_text(encoding="utf-8").splitlines() if named else []
    except (OSError, ValueError) as error:
        _end(f"{_LOGIN_FILE}: cannot read {named!r} ({type(error).__name__})")
    lines = [each.strip() for each in lines if each.strip()]
    if named and not lines:
        _end(f"{_LOGIN_FILE}: {named!r} is empty: write user:password into it")
    return lines


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _check() -> None:
    """End where what the file, the environment and the command line say together cannot work."""
    for place, login in enumerate(options.basic_auth, 1):
        user, _, password = login.partition(":")
        if not (user and password and login.isascii()):
            # Flower would let nobody in, or anybody.
            _end(f"login {place} must be user:password, both not empty, in ASCII")
    if not (options.basic_auth or options.auth or options.unix_socket or _is_loopback(options.address)):
        _end(
            f"refuses to listen on {options.address or 'every address'} without a login:"
            f" set {_LOGIN_FILE}, or --address={_LOOPBACK}"
        )
    folder = Path(options.db).absolute().parent
    if options.persistent and not os.access(folder, os.W_OK | os.X_OK):
        _end(f"FLOWER_DB: cannot write into the folder {str(folder)!r}")


def _receive(state: EventsState, event: dict[str, Any], *, receive: Any) -> None:  # noqa: ANN401  # Flower's
    """Let Flower *receive* an event without the arguments that a sender wrote into it.

    A program that is not ours may send events of its messages (``task_send_sent_event``), with their payload.
    What a worker sends about the same message has its ids.
    """
    if event["type"] == "task-sent":
        event = {name: value for name, value in event.items() if name not in ("args", "kwargs")}
    receive(state, event)


EventsState.event = partialmethod(_receive, receive=EventsState.event)
basic_auth = _logins()
for _name in [each for each in globals() if f"FLOWER_{each.upper()}" in os.environ and each in options]:
    # The environment has set it already.
    del globals()[_name]
# Called when the command line is parsed a second time: it wins over this file.
options.add_parse_callback(_check)
