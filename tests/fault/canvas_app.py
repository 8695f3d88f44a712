"""A worker's app whose calls are counted in a list of the broker and may be held there."""

import os

from celery import Celery
from redis import Redis

from askonce.adapters.celery import AskOnce, IdempotentTask
from askonce.adapters.redis import RedisStore
from askonce.errors import Permanent, Transient
from askonce.spec import JobSpec, RetryPolicy

URL = os.environ["CANVAS_URL"]
LEASE = 3.0
#: Seconds without a sign of life after which a delivery is somebody else's.
VISIBILITY = 3.0
PREFIX = "canvas:"

app = Celery("canvas", broker=URL, backend=URL)
app.conf.update(
    broker_transport="askonce.adapters.kombu.redis:Transport",
    broker_connection_retry_on_startup=True,
    broker_transport_options={
        "global_keyprefix": PREFIX,
        "visibility_timeout": VISIBILITY,
        "unacked_restore_interval": 0.5,
    },
    result_backend_transport_options={"global_keyprefix": PREFIX},
)
once = AskOnce(app, store=lambda: RedisStore.from_url(URL, namespace="canvas"), reap_interval=0.5)
spec = JobSpec(lease=LEASE, queue_deadline=3.0, retry=RetryPolicy(max_attempts=3, base=0.05))


@app.task(name="call", base=IdempotentTask, spec=spec, ignore_result=False, shared=False)
def call(n, fails=""):
    """Make the paid call: write it down, wait while calls are held, write down its end."""
    with Redis.from_url(URL) as client:
        client.rpush("begun", f"{n}:{os.getpid()}")
        while client.exists("hold"):
            client.blpop("nothing", timeout=0.1)
        client.rpush("ended", f"{n}:{os.getpid()}")
        if fails == "once" and client.incr(f"failed:{n}") == 1:
            raise Transient("http_503")
        if fails == "always":
            raise Permanent("http_404")
    return n + 1


@app.task(name="collect", ignore_result=False, shared=False)
def collect(answers):
    with Redis.from_url(URL) as client:
        client.rpush("collected", len(answers))
    return answers


@app.task(name="note", ignore_result=True, shared=False)
def note(what, *_):
    with Redis.from_url(URL) as client:
        client.rpush("noted", str(what))
