"""Loaded into a worker with -I: a test says by the environment what its settings are and where it dies.

TAMPERED_CONF   settings of Celery as JSON; broker_transport_options are added to those that are there
TAMPERED_DEATH  "before" or "after" and one of PLACES; a file of this name beside it says that it happened
TAMPERED_MARK   that file: of all processes one dies, once
TAMPERED_PATIENCE  the seconds for which a call waits for its turn
TAMPERED_STOPS  anything: the process does not die; it stops itself, as by SIGSTOP, and may be continued
"""

import json
import os
import signal

from kombu.transport import redis as kombu_redis

from askonce.adapters.kombu import redis as our_redis
from askonce.adapters.redis import RedisStore
from askonce.pace import gate
from worker.app import app, once

PLACES = {
    "store": (RedisStore, "complete"),
    "start": (RedisStore, "start"),
    "kombu-note": (kombu_redis.QoS, "append"),
    "our-note": (our_redis.QoS, "append"),
}


def set_conf(changes):
    app.conf.broker_transport_options = {
        **app.conf.broker_transport_options,
        **changes.pop("broker_transport_options", {}),
    }
    app.conf.update(changes)
    # A task has taken its limits from the settings by now, and they win over the pool's.
    for task in app.tasks.values():
        task.time_limit, task.soft_time_limit = app.conf.task_time_limit, app.conf.task_soft_time_limit


def die_once(when, place, mark):
    owner, name = PLACES[place]
    real = getattr(owner, name)

    def deadly(*args, **kwargs):
        done = real(*args, **kwargs) if when == "after" else None
        try:
            os.close(os.open(mark, os.O_CREAT | os.O_EXCL))
        except FileExistsError:
            return done if when == "after" else real(*args, **kwargs)
        if "TAMPERED_STOPS" in os.environ:
            os.kill(os.getpid(), signal.SIGSTOP)
            return done
        # As a SIGKILL: nothing is cleaned up.
        os._exit(9)

    setattr(owner, name, deadly)


gate.PATIENCE = float(os.environ.get("TAMPERED_PATIENCE", gate.PATIENCE))
set_conf(json.loads(os.environ.get("TAMPERED_CONF", "{}")))
# What a test wants is unsound on purpose.
once.start_up.run = lambda: None
if death := os.environ.get("TAMPERED_DEATH"):
    die_once(*death.split(), os.environ["TAMPERED_MARK"])
