"""Runs a command in a container, and stays when the command ends with 78: no restart mends a configuration.

``python -m worker.unless_misconfigured celery -A worker.app worker``

Docker's restart policies do not look at the exit code: ``unless-stopped`` would start the command again and
again. ``on-failure`` looks whether it is 0, and does not start a container when Docker itself restarts. The
container that stays becomes unhealthy, and its last lines name what to correct.
"""

import os
import signal
import sys

#: What Docker, a terminal or a person sends to end a process.
_PASSED_ON = (signal.SIGTERM, signal.SIGINT, signal.SIGQUIT, signal.SIGHUP)


def main(command: list[str]) -> int:
    """Run *command* with the signals that this process gets; return its exit code as a shell would."""
    # Blocked signals wait for sigwait(): none is lost before the command has started.
    signal.pthread_sigmask(signal.SIG_BLOCK, (*_PASSED_ON, signal.SIGCHLD))
    # Some systems drop a blocked signal that has no handler.
    signal.signal(signal.SIGCHLD, lambda *_: None)
    code = _run(command)
    if code == os.EX_CONFIG:
        sys.stderr.write("not started again: correct the configuration, then start this container again\n")
        signal.sigwait(_PASSED_ON)
    return code


def _run(command: list[str]) -> int:
    child = os.posix_spawnp(command[0], command, os.environ, setsigmask=())
    while True:
        number = signal.sigwait((*_PASSED_ON, signal.SIGCHLD))
        if number != signal.SIGCHLD:
            os.kill(child, number)
            continue
        ended, status = os.waitpid(child, os.WNOHANG)
        if ended:
            code = os.waitstatus_to_exitcode(status)
            return code if code >= 0 else 128 - code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
