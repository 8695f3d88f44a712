"""Asks once, at the same moment as all others: waits at the gate, then prints what it was told."""

import json
import sys

from redis import Redis

from producer.client import connect
from settings.environment import load_or_exit


def main():
    """Take the task and its payload from the command line."""
    task, payload = sys.argv[1], json.loads(sys.argv[2])
    settings = load_or_exit()
    client = connect(settings)
    with Redis.from_url(settings.store_url(), socket_timeout=None) as gate:
        gate.lpush("test:ready", 1)
        gate.blpop("test:go", timeout=90)
        outcome = client.enqueue(task, payload)
        gate.lpush("test:asked", 1)
    answer = outcome.result(timeout=90)
    json.dump({"asked": type(outcome).__name__, "job": outcome.job, "value": answer.value}, sys.stdout)


if __name__ == "__main__":
    main()
