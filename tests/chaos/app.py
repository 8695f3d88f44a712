"""A small Celery app whose one job may be killed, stalled and lost; the ledger counts its calls."""

import json
import os
import random
from pathlib import Path
from threading import Event, Thread
from time import monotonic

from celery import Celery
from kombu import Queue

from askonce import JobSpec
from askonce.adapters.celery import AskOnce, IdempotentTask
from askonce.adapters.redis import RedisStore
from askonce.attempt import current_attempt
from askonce.errors import Permanent, Transient
from askonce.spec import RetryPolicy
from askonce.store import Start
from tests.chaos import holding  # noqa: F401  # registers its command
from tests.chaos.mutants import break_on_purpose
from tests.chaos.recording import Journal, RecordingStore, count_attempts

FOLDER = Path(os.environ["CHAOS_FOLDER"])
NAMESPACE = QUEUE = "chaos"
#: Only one of the workers takes this one.
RARE = "rare"
PREFIX = "{chaos}:"
LEASE, REAP, QUEUE_DEADLINE = 3.0, 1.0, 2.0
RECORDED = os.environ.get("CHAOS_RECORDED", "1") == "1"


if os.environ.get("CHAOS_MUTANT"):
    break_on_purpose(os.environ["CHAOS_MUTANT"])
count_attempts()


def _watch():
    """Write down when this process stood still, whoever made it: a machine under load does, too."""
    never, last = Event(), monotonic()
    while not never.wait(0.2):
        if monotonic() - last > 1.0:
            pay({"e": "stall", "since": last})
        last = monotonic()


class StandingStill(RedisStore):
    """A few times the process stands still once its lease began, so that it parks the job."""

    def start(self, job, lease, *kept, **how):
        reply = super().start(job, lease, *kept, **how)
        if reply.outcome is Start.GRANTED and random.Random(f"still {reply.record.fence}").random() < 0.02:
            Event().wait(LEASE * 1.1)
        return reply


def connect():
    Thread(target=_watch, name="chaos-watch", daemon=True).start()
    store = StandingStill.from_url(os.environ["CHAOS_STORE_URL"], namespace=NAMESPACE)
    return RecordingStore(store, Journal(FOLDER / "history")) if RECORDED else store


app = Celery("chaos", broker=os.environ["CHAOS_BROKER_URL"], set_as_current=False)
app.conf.update(
    broker_transport="askonce.adapters.kombu.redis:Transport",
    broker_connection_retry_on_startup=True,
    broker_connection_max_retries=None,
    broker_transport_options={
        # Short, so that messages of killed workers come back within a run: copies are harmless.
        "visibility_timeout": 6,
        "unacked_restore_interval": 10,
        "unacked_restore_throttle": 2,
        "socket_timeout": 3,
        "socket_connect_timeout": 1,
        "health_check_interval": 5,
        "global_keyprefix": PREFIX,
    },
    task_default_queue=QUEUE,
    task_queues=[Queue(QUEUE), Queue(RARE)],
    task_acks_late=True,
    task_ignore_result=True,
    task_publish_retry_policy={
        "max_retries": 2,
        "interval_start": 0,
        "interval_step": 0.1,
        "interval_max": 0.2,
    },
    worker_prefetch_multiplier=1,
    worker_disable_prefetch=True,
    worker_cancel_long_running_tasks_on_connection_loss=False,
    worker_hijack_root_logger=False,
    worker_redirect_stdouts=False,
)
once = AskOnce(app, store=connect, reap_interval=REAP)
SPEC = JobSpec(
    key_fields=("n",),
    soft_ttl=2.0,
    hard_ttl=3600.0,
    failure_ttl=600.0,
    lease=LEASE,
    queue_deadline=QUEUE_DEADLINE,
    retry=RetryPolicy(max_attempts=3, base=0.2),
)


def pay(line):
    """One line in the ledger: what was asked for has its price from here on."""
    line = {"t": monotonic(), "pid": os.getpid(), **line}
    file = os.open(FOLDER / "ledger.jsonl", os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.write(file, json.dumps(line).encode() + b"\n")
    os.close(file)


@app.task(name="chaos.ask", base=IdempotentTask, spec=SPEC, shared=False)
def ask(n, text):
    attempt = current_attempt()
    call = {"key": attempt.key, "job": attempt.job, "fence": attempt.fence}
    pay({"e": "call", **call})
    draw = random.Random(attempt.fence)
    # A few are longer than the lease: somebody has to renew it.
    Event().wait(draw.uniform(0.02, 0.6) if draw.random() < 0.95 else LEASE * 1.5)
    end = draw.choices(["answer", "transient", "permanent"], [90, 8, 2])[0]
    pay({"e": end, **call})
    if end == "transient":
        raise Transient("http_503")
    if end == "permanent":
        raise Permanent("http_404")
    return {"n": n, "text": text, "fence": attempt.fence}
