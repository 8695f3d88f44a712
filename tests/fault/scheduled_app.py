"""An app whose schedule asks for the same twice a second; a worker's calls are in a list of the broker."""

import os

from celery import Celery
from redis import Redis

from askonce.adapters.celery import AskOnce, IdempotentTask
from askonce.adapters.redis import RedisStore
from askonce.spec import JobSpec

URL = os.environ["SCHEDULED_URL"]

app = Celery("scheduled", broker=URL)
app.conf.update(
    broker_connection_retry_on_startup=True,
    broker_transport_options={"global_keyprefix": "scheduled:"},
    task_acks_late=True,
    task_ignore_result=True,
    worker_prefetch_multiplier=1,
    worker_cancel_long_running_tasks_on_connection_loss=False,
    beat_max_loop_interval=0.1,
    beat_schedule={"rates": {"task": "rates.fetch", "schedule": 0.5, "args": ("BRL",)}},
)
once = AskOnce(app, store=lambda: RedisStore.from_url(URL, namespace="scheduled"), reap_interval=0.5)


@app.task(name="rates.fetch", base=IdempotentTask, spec=JobSpec(soft_ttl=3600), shared=False)
def fetch(currency):
    with Redis.from_url(URL) as client:
        client.rpush("called", currency)
    return currency
