"""Starts slots of the project's schedule as a person does, and looks at what became of them."""

from contextlib import contextmanager

from askonce.adapters.redis import RedisStore
from tests.deadlines import stretched
from tests.preloaded import patient, start

ORDERS = "orders every night"


def start_slot(machine, entry=ORDERS):
    """Start a slot now; return the exit code."""
    with (machine.folder / "schedule").open("ab") as out:
        command = ("-m", "producer", "schedule", "run", entry)
        return start(command, machine.env, stdout=out, stderr=out).wait(stretched(60))


@contextmanager
def schedules_of(machine):
    """Look at the schedule of *machine*."""
    store = RedisStore.from_url(patient(machine.valkey.url), namespace="jobs")
    try:
        yield store.schedules
    finally:
        store.close()


def ends(schedules, entry=ORDERS):
    """Return what became of the slots that ended: word and facts, the newest first."""
    return [(line.what, line.facts) for line in schedules.history(entry) if line.what in ("done", "failed")]
