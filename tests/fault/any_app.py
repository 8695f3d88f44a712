"""An app whose worker counts on its server what became of each message."""

import os

from celery import Celery, signals
from redis import Redis

from askonce.adapters.celery import AskOnce, IdempotentTask
from askonce.adapters.redis import RedisStore
from askonce.errors import JobError
from askonce.spec import JobSpec

URL, BROKER = os.environ["ANY_STORE_URL"], os.environ["ANY_BROKER_URL"]
QUEUE = "any"

app = Celery("any", broker=BROKER, set_as_current=False)
app.conf.update(
    broker_connection_retry_on_startup=True,
    broker_transport=os.environ["ANY_TRANSPORT"],
    task_acks_late=True,
    task_default_queue=QUEUE,
    worker_prefetch_multiplier=1,
)
client = Redis.from_url(URL)
OF_CELERY = "plain", *(name for name in app.tasks if name.startswith("celery."))


#: A process says once that it reached the store, whatever it was sent.
OF_PROCESS = "store.connected"
#: These end as their task does too.
TWICE = "message.invalid_payload", "message.invalid_option", "message.identity_mismatch"


def listen(event):
    if event.name.startswith("message.") and event.name not in TWICE:
        client.rpush("kept", event.name)
    elif not event.name.startswith("job.") and event.name != OF_PROCESS:
        client.rpush("other", event.name)


def ended(sender=None, exception=None, **_):
    foreseen = exception is None or isinstance(exception, JobError) or sender.name in OF_CELERY
    client.rpush("ended", sender.name if foreseen else repr(exception))


for signal in (signals.task_success, signals.task_failure, signals.task_retry, signals.task_revoked):
    signal.connect(ended, weak=False)
once = AskOnce(app, store=lambda: RedisStore.from_url(URL, namespace="any"), listen=listen, check=None)


@app.task(name="add", base=IdempotentTask, spec=JobSpec(), shared=False)
def add(n):
    return n + 1


@app.task(name="linked", base=IdempotentTask, spec=JobSpec(), links=True, shared=False)
def linked(n):
    return n + 1


if backend := os.environ.get("ANY_BACKEND"):
    app.conf.result_backend = backend

    @app.task(name="kept", base=IdempotentTask, spec=JobSpec(), ignore_result=False, shared=False)
    def kept(n):
        return n + 1

    @app.task(name="plain", shared=False)
    def plain(n):
        return n + 1
