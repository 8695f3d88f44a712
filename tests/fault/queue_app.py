"""An app with two queues, whose calls and received messages are counted in lists of the store."""

import os
import signal

from celery import Celery, signals
from kombu import Queue
from redis import Redis

from askonce.adapters.celery import AskOnce, IdempotentTask
from askonce.adapters.redis import RedisStore
from askonce.errors import Transient
from askonce.spec import JobSpec, RetryPolicy

URL, BROKER = os.environ["QUEUE_STORE_URL"], os.environ["QUEUE_BROKER_URL"]
#: Seconds; on a quiet machine a sixtieth of what it is by default.
DEADLINE = float(os.environ["QUEUE_DEADLINE"])
#: Seconds that each call takes: a hundred of them take many deadlines.
CALL = float(os.environ.get("QUEUE_CALL", "0.1"))

app = Celery("queues", broker=BROKER, set_as_current=False)
app.conf.update(
    broker_connection_retry_on_startup=True,
    task_acks_late=True,
    task_create_missing_queues=False,
    task_default_queue="slow",
    task_ignore_result=True,
    task_queues=[Queue("slow", routing_key="slow"), Queue("other", routing_key="other")],
    worker_prefetch_multiplier=1,
)
if BROKER.startswith("redis://"):
    app.conf.broker_transport = "askonce.adapters.kombu.redis:Transport"
once = AskOnce(app, store=lambda: RedisStore.from_url(URL, namespace="queues"), reap_interval=0.3, check=None)
retry = RetryPolicy(max_attempts=3, base=0.05)
client = Redis.from_url(URL)


@signals.task_received.connect(weak=False)
def count(sender=None, request=None, **_):
    # Workers of other tests may run in the process of this one, when its server is gone.
    if sender.app is app:
        client.rpush("received", request.id)


@app.task(
    name="call",
    base=IdempotentTask,
    spec=JobSpec(lease=3.0, queue_deadline=DEADLINE, retry=retry),
    shared=False,
)
def call(n):
    client.rpush("called", n)
    if CALL:
        client.blpop("nothing", timeout=CALL)
    return n


@app.task(
    name="routed",
    base=IdempotentTask,
    spec=JobSpec(lease=3.0, queue_deadline=3.0, retry=retry),
    shared=False,
    bind=True,
)
def routed(self, n):
    """Fail, be killed, fail; then answer. Note how each message came."""
    request = self.request
    came = request.delivery_info["routing_key"], request.delivery_info["priority"] or 0
    run = client.rpush("came", repr((*came, request.headers["trace"], request.timelimit)))
    if run == 2:
        os.kill(os.getpid(), signal.SIGKILL)
    if run <= 3:
        raise Transient("http_503")
    return n
