"""Brings jobs of one scene into the state that a test lists or shows."""

from dataclasses import replace

from askonce.errors import Transient
from askonce.spec import RetryPolicy
from askonce.store import Lease

MARKER = "ana-souza-said"
ROW = {"currency": "BRL", "text": MARKER}


def ask(scene, currency, **options):
    return scene.ask({**ROW, "currency": currency}, **options).key


def run(scene, number=-1, owner="host:7:secret"):
    job = scene.sender.sent[number].job
    scene.store.start(job, Lease(job.key, owner, 30.0))
    return job.key


def park(scene):
    job = scene.sender.sent[-1].job
    lease = Lease(job.key, "host:7:secret", 30.0)
    scene.store.start(job, lease)
    scene.store.park(lease, "rate_limited", 20.0, 600.0)
    return job.key


def give_up(scene, raising, currency="XAU", reason="http_503", **options):
    """Let one job's attempts be spent."""
    scene.use(scene.store, replace(scene.spec, retry=RetryPolicy(max_attempts=1)))
    asked = scene.answered({**ROW, "currency": currency}, raising(Transient(reason)), **options)
    return asked.key
