"""An app with a schedule of slots. A test moves its store's time, and finds in a list what happened."""

import json
import os
import signal
from pathlib import Path

from celery import Celery
from redis import Redis

from askonce.adapters.celery import AskOnce, IdempotentTask
from askonce.adapters.redis import RedisStore
from askonce.events import EventType
from askonce.schedule import Cron, Entry, Every, Policy, StoredFile
from askonce.schedule.firing import Firing
from askonce.spec import JobSpec

URL, STORE_URL = os.environ["SLOTS_URL"], os.environ["SLOTS_STORE_URL"]
CLOCK = (Path(__file__).parent / "moved_clock.lua").read_text()
QUERY = StoredFile(task="rates.fetch", path=Path(os.environ["SLOTS_FILE"]))
client = Redis.from_url(URL)


def entry(name, at, **policy):
    return Entry(name=name, at=at, query=QUERY, policy=Policy(**policy))


ENTRIES = {
    "clocks": [
        entry("berlin", Cron("30 2 * * *", "Europe/Berlin")),
        entry("new york", Cron("30 1 * * *", "America/New_York")),
        entry("hourly", Cron("15 * * * *", "Europe/Berlin")),
        entry("seconds", Every(7200)),
    ],
    "policies": [entry(name, Every(3600), catch_up=name) for name in ("once", "all", "never")],
    "backlog": [entry("skip", Every(3600)), entry("queue one", Every(3600), overlap="queue_one")],
}


def listen(event):
    if event.name.startswith("schedule.") or (
        event.type is EventType.JOB_DONE and event.task == "askonce.slot"
    ):
        client.rpush("heard", json.dumps([event.name, dict(event.data)], default=str))


app = Celery("slots", broker=URL)
app.conf.update(
    broker_connection_retry_on_startup=True,
    broker_transport_options={"global_keyprefix": "slots:"},
    task_acks_late=True,
    task_ignore_result=True,
    worker_prefetch_multiplier=1,
    worker_cancel_long_running_tasks_on_connection_loss=False,
    beat_max_loop_interval=0.1,
    beat_schedule={"plain": {"task": "plain", "schedule": 0.5}},
)
once = AskOnce(
    app,
    store=lambda: RedisStore(Redis.from_url(STORE_URL, socket_timeout=30), namespace="slots", clock=CLOCK),
    reap_interval=0.5,
    listen=listen,
    schedule=ENTRIES[os.environ["SLOTS_OF"]],
)


@app.task(name="rates.fetch", base=IdempotentTask, spec=JobSpec(soft_ttl=3600), shared=False)
def fetch(currency):
    return currency


@app.task(name="plain", shared=False)
def plain():
    client.incr("plain")


def die(*_):
    os.kill(os.getpid(), signal.SIGKILL)


if os.environ.get("DIES_BEFORE_IT_ENQUEUES"):
    Firing.send = die
