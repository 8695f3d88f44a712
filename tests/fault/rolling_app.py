"""An app of one version of its task; each call writes down which version of the code made it."""

import os

from celery import Celery
from redis import Redis

from askonce.adapters.celery import AskOnce, IdempotentTask
from askonce.adapters.celery import task as celery_task
from askonce.adapters.redis import RedisStore
from askonce.spec import JobSpec

URL, VERSION = os.environ["ROLLING_URL"], os.environ["ROLLING_VERSION"]
# Nobody waits for long: a message is looked at again soon, and sent again soon.
celery_task._OTHER_VERSION_REST = 0.2

app = Celery("rolling", broker=URL)
app.conf.update(
    broker_transport="askonce.adapters.kombu.redis:Transport",
    broker_connection_retry_on_startup=True,
    task_acks_late=True,
    worker_prefetch_multiplier=1,
    worker_disable_prefetch=True,
)
once = AskOnce(
    app, store=lambda: RedisStore.from_url(URL, namespace="rolling"), reap_interval=0.5, check=None
)


@app.task(name="ask", base=IdempotentTask, spec=JobSpec(version=VERSION, queue_deadline=2.0), shared=False)
def ask(asked, n):
    """Make the paid call: it is written down as asked for and as made."""
    with Redis.from_url(URL) as client:
        client.rpush("calls", f"{asked} by {VERSION}: {n}")
    return [VERSION, n]
