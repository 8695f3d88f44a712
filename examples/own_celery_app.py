"""A Celery app of your own with idempotent tasks. Set REDIS_URL to the address of your server and run it."""

import os
from collections.abc import Mapping

from celery import Celery
from celery.contrib.testing.worker import start_worker

from askonce import JobSpec
from askonce.adapters.celery import AskOnce, IdempotentTask
from askonce.adapters.redis import RedisStore
from askonce.fields import as_id

REDIS_URL = os.environ.get("REDIS_URL", "redis://127.0.0.1:6379/0")

app = Celery("shop", broker=os.environ.get("CELERY_BROKER_URL", REDIS_URL))
# Gives a killed worker's messages back after a minute; kombu's own transport after an hour.
app.conf.broker_transport = "askonce.adapters.kombu.redis:Transport"
once = AskOnce(app, store=lambda: RedisStore.from_url(REDIS_URL, namespace="shop"))


def call_the_bank(currency: str, day: str) -> float:
    """Stand in for a slow, paid call."""
    print(f"paying for {currency} {day}")
    return 5.42


def used(row: Mapping[str, object]) -> dict[str, str]:
    """Return the fields that make a job; a row without a currency is refused by that name."""
    return {"currency": as_id(row.get("currency"), "currency"), "day": as_id(row.get("day", "today"), "day")}


@app.task(name="rates.fetch", base=IdempotentTask, spec=JobSpec(input=used, soft_ttl=300))
def fetch(currency: str, day: str = "today") -> dict[str, object]:
    """Return the rate of a currency."""
    return {"currency": currency, "rate": call_the_bank(currency, day)}


def main() -> None:
    """Enqueue the same job four times, in different ways; only one call is made."""
    first = fetch.enqueue({"currency": "BRL"})
    second = fetch.enqueue({"currency": "BRL", "day": "today"})
    with start_worker(app, pool="threads", concurrency=4, perform_ping_check=False, loglevel="ERROR"):
        print(type(first).__name__, first.result(timeout=10).value)
        print(type(second).__name__, second.result(timeout=10).value)
    third = fetch.enqueue({"currency": "BRL"})
    print(type(third).__name__, third.result(timeout=0).source)
    print("the same job:", fetch.delay("BRL").id == first.job)


if __name__ == "__main__":
    main()
