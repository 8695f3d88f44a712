"""README's app with a result backend and chords, as a worker and as the caller of three chords.

The test writes README's example beside it, as `shop.py`. Calls are written into a ledger file, and wait while
the file HOLD exists. Without SHORT_SECONDS every time is as README's example and Celery have it.
"""

import json
import os
from pathlib import Path
from threading import Event

from celery import chord
from shop import URL, app

from askonce import JobSpec
from askonce.adapters.celery import IdempotentTask

LEDGER, HOLD = Path(os.environ["LEDGER"]), Path(os.environ["HOLD"])
SHORT = float(os.environ.get("SHORT_SECONDS", "0"))
#: Parts of each chord, and the first number whose call is held.
PARTS, HELD_FROM = 4, 5

app.conf.result_backend = URL
if SHORT and app.conf.broker_transport:
    app.conf.broker_transport_options = {"visibility_timeout": SHORT, "unacked_restore_interval": 0.5}
spec = JobSpec(lease=SHORT) if SHORT else JobSpec()


@app.task(name="rate", base=IdempotentTask, spec=spec, ignore_result=False)
def rate(n):
    note(f"begun {n}")
    if n >= HELD_FROM:
        wait_while_held()
    note(f"ended {n}")
    return n + 1


@app.task(name="total")
def total(rates):
    note(f"total {sorted(rates)}")
    return sum(rates)


@app.task(name="total_once", base=IdempotentTask, spec=spec, ignore_result=False)
def total_once(rates):
    note(f"begun {sorted(rates)}")
    wait_while_held()
    note(f"ended {sorted(rates)}")
    return sum(rates)


def note(line):
    with LEDGER.open("a") as ledger:
        ledger.write(f"{line}\n")


def wait_while_held():
    while HOLD.exists():
        Event().wait(0.05)


def main():
    """Send the chords, show that they are sent, and print what their bodies returned."""
    bodies = {"three": (total, total_once, total), "one": (total_once,)}[os.environ["CHORDS"]]
    results = [
        chord([rate.s(PARTS * number + part) for part in range(PARTS)], body.s()).delay()
        for number, body in enumerate(bodies)
    ]
    note("sent")
    print(json.dumps([result.get(timeout=float(os.environ["PATIENCE"])) for result in results]), flush=True)  # noqa: T201


if __name__ == "__main__":
    main()
