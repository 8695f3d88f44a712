"""An app whose answers live for seconds: its calls go to the stand-in of the customers."""

import json
import os
from urllib.error import HTTPError, URLError
from urllib.request import urlopen

from celery import Celery

from askonce.adapters.celery import AskOnce, IdempotentTask
from askonce.adapters.redis import RedisStore
from askonce.answer import Answer
from askonce.errors import Transient
from askonce.schedule.entry import Entry, Every, GoingStale
from askonce.spec import JobSpec, RetryPolicy

URL, OUTSIDE = os.environ["REDIS_URL"], os.environ["CUSTOMER_API_URL"]
FRESH = float(os.environ["FRESH_SECONDS"])
AHEAD = Entry(name="ahead", at=Every(1), query=GoingStale(task="customers.strict", within=2.0))

app = Celery("life", broker=os.environ["CELERY_BROKER_URL"], set_as_current=False)
app.conf.update(
    broker_connection_retry_on_startup=True,
    broker_transport_options={"global_keyprefix": "life:"},
    task_acks_late=True,
    task_ignore_result=True,
    worker_prefetch_multiplier=1,
    worker_cancel_long_running_tasks_on_connection_loss=False,
    beat_scheduler="askonce.adapters.celery.scheduler:Scheduler",
)
once = AskOnce(
    app, store=lambda: RedisStore.from_url(URL, namespace="life"), reap_interval=0.5, schedule=[AHEAD]
)
SPEC = JobSpec(
    key_fields=("cliente_id",),
    soft_ttl=FRESH,
    hard_ttl=3600,
    stale_while_revalidate=3000,
    keep_payload=True,
    retry=RetryPolicy(max_attempts=1, base=1.0, cap=1.0, on_give_up="backoff"),
)


@app.task(name="customers.strict", base=IdempotentTask, spec=SPEC, shared=False)
def strict(cliente_id):
    """Fail where the service does."""
    return called(cliente_id)


@app.task(name="customers.lenient", base=IdempotentTask, spec=SPEC, shared=False)
def lenient(cliente_id):
    """Say that the customer is unknown where the service fails."""
    try:
        return called(cliente_id)
    except Transient as failed:
        return Answer({"cliente_nome": "unknown"}, source="default", reason=failed.reason)


def called(cliente_id):
    try:
        with urlopen(f"{OUTSIDE}/customers/{cliente_id}", timeout=10) as reply:
            return json.load(reply)
    except HTTPError as refused:
        raise Transient(f"http_{refused.code}") from None
    except (URLError, ConnectionError):
        raise Transient("unreachable") from None
