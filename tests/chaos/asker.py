"""A producer: asks, looks, forces and forgets by its seed until it is ended."""

import random
import sys
from contextlib import suppress
from threading import Event

from askonce.errors import JobError, JobFailed
from askonce.key import identify
from tests.chaos.app import RARE, RECORDED, ask, once, pay


def main(seed, keys):
    draw, never = random.Random(seed), Event()
    producer = once.producer
    while True:
        n = min(draw.randrange(keys), draw.randrange(keys))
        # Some questions are corrected now and then.
        text = draw.choice("ab") if n % 4 == 0 and draw.random() < 0.3 else "a"
        payload = {"n": n, "text": text}
        act = draw.random()
        with suppress(JobError):
            # A tenant's answers are his own.
            tenant = "acme" if n % 4 == 1 else ""
            if act < 0.25:
                producer.store.read([identify(ask.job_spec, payload, tenant).key])
            elif act < 0.27 and RECORDED:
                producer.store.invalidate(identify(ask.job_spec, payload, tenant).key)
            else:
                outcome = ask.enqueue(payload, force=act < 0.31, tenant=tenant, **options(draw))
                if draw.random() < 0.05:
                    wait(outcome, draw.uniform(0.5, 3.0))
        never.wait(draw.uniform(0.01, 0.06))


def wait(outcome, seconds):
    """Wait for the job's end, and write down which one it was."""
    try:
        outcome.result(seconds)
        end = "answer"
    except JobFailed as failed:
        end = failed.kind
    except JobError as error:
        end = type(error).__name__
    pay({"e": "waited", "end": end})


def options(draw):
    """What some callers choose; two of them may attach to one job with different ones."""
    chosen = {}
    if draw.random() < 0.2:
        chosen["queue"] = RARE
    if draw.random() < 0.3:
        chosen["priority"] = draw.choice([0, 3, 6])
    if draw.random() < 0.15:
        chosen["expires"] = draw.uniform(0.3, 5.0)
    if draw.random() < 0.1:
        chosen["countdown"] = draw.uniform(0.2, 2.0)
    return chosen


if __name__ == "__main__":
    main(sys.argv[1], int(sys.argv[2]))
