"""Starts many processes that enqueue one job at the same moment; prints what each of them got, a line each.

They are forked from one that has loaded the producer and nothing more: each has its own settings and
connections, as if it had been started by itself, and the machine is spared the loading.
"""

import json
import os
import sys

from redis import Redis

from producer.client import connect
from settings.environment import load_or_exit

#: A test that fails ends the processes earlier.
_SECONDS = 3600


def main():
    """Take the number of processes, the task and its payload from the command line."""
    number, task, payload = int(sys.argv[1]), sys.argv[2], json.loads(sys.argv[3])
    children = []
    for _ in range(number):
        if not (child := os.fork()):
            enqueue_with_all_others(task, payload)
            return
        children.append(child)
    codes = {os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) for child in children}
    sys.exit(0 if codes == {0} else f"exit codes {codes}")


def enqueue_with_all_others(task, payload):
    settings = load_or_exit()
    client = connect(settings)
    with Redis.from_url(settings.store_url(), socket_timeout=None) as gate:
        gate.lpush("test:ready", os.getpid())
        gate.blpop("test:go", timeout=_SECONDS)
        outcome = client.enqueue(task, payload)
        gate.lpush("test:asked", 1)
    answer = outcome.result(timeout=_SECONDS)
    told = {"asked": type(outcome).__name__, "job": outcome.job, "value": answer.value}
    # One write: the lines of all processes go into one pipe.
    os.write(sys.stdout.fileno(), json.dumps(told).encode() + b"\n")


if __name__ == "__main__":
    main()
