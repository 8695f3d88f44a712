"""Asks as it is told, one JSON line a question, and says what it was told and how long that took.

{"task": ..., "payload": ...}   asks
{"wait": seconds}               waits for the answers to everything that was asked and is under way
"""

import json
import sys
from time import monotonic

from askonce.errors import JobError
from askonce.handle import as_completed
from askonce.outcomes import Admitted, Attached
from producer.client import connect
from settings.environment import load_or_exit


def main():
    """Answer each line with a line until there are no more."""
    client, handles = connect(load_or_exit()), []
    for line in sys.stdin:
        question, began = json.loads(line), monotonic()
        if "wait" in question:
            told = [
                shown(handle, end) for handle, end in as_completed(client.store, handles, question["wait"])
            ]
        else:
            told = ask(client, question, handles) | {"seconds": monotonic() - began}
        sys.stdout.write(json.dumps(told) + "\n")
        sys.stdout.flush()


def ask(client, question, handles):
    try:
        outcome = client.enqueue(question["task"], question["payload"])
    except JobError as error:
        return {"asked": type(error).__name__, **error.data}
    if isinstance(outcome, Admitted | Attached):
        handles.append(outcome.handle)
    return {"asked": type(outcome).__name__, "key": outcome.key, "degraded": outcome.degraded}


def shown(handle, end):
    if isinstance(end, JobError):
        return {"key": handle.key, "error": type(end).__name__, **end.data}
    return {"key": handle.key, "source": end.source, "fence": end.fence}


if __name__ == "__main__":
    main()
