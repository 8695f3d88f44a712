"""Enqueues orders one after the other, each with an asker of its own; prints source and seconds of each."""

import json
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from functools import partial

from producer.client import connect
from settings.environment import load_or_exit


def main():
    """Take the number of orders from the command line."""
    client = connect(load_or_exit())
    with ThreadPoolExecutor(16) as askers:
        for line in askers.map(partial(ask, client), range(1, int(sys.argv[1]) + 1)):
            sys.stdout.write(json.dumps(line) + "\n")


def ask(client, number):
    """Return the source of one order's answer, and the seconds until it was there."""
    began = time.monotonic()
    outcome = client.enqueue("orders.enrich", {"order_id": f"T-{number}", "cliente_id": number})
    answer = outcome.result(timeout=60)
    return {"source": answer.source, "seconds": time.monotonic() - began}


if __name__ == "__main__":
    main()
