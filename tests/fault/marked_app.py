"""An app whose calls read a source that changes, and hold what they read first."""

import os

from celery import Celery
from redis import Redis

from askonce.adapters.celery import AskOnce, IdempotentTask
from askonce.adapters.redis import RedisStore
from askonce.spec import JobSpec

URL = os.environ["MARKED_URL"]

app = Celery("marked", broker=URL, set_as_current=False)
app.conf.update(
    broker_connection_retry_on_startup=True, task_ignore_result=True, worker_prefetch_multiplier=1
)
once = AskOnce(app, store=lambda: RedisStore.from_url(URL, namespace="marked"), reap_interval=0.5)
server = Redis.from_url(URL, socket_timeout=None, max_connections=1000)


@app.task(name="prices.fetch", base=IdempotentTask, spec=JobSpec(soft_ttl=3600), shared=False)
def fetch(number):
    """Return the source's edition of this moment; the first edition takes long."""
    edition = int(server.get("edition"))
    server.rpush("began", number)
    if edition == 1:
        server.blpop(["gate"], timeout=0)
    return edition
