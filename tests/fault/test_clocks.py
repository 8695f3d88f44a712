from pathlib import Path

import pytest

from sandbox.valkey import Valkey

pytestmark = [pytest.mark.fault, pytest.mark.redis_broker("its servers and links are Redis's")]

WRONG_CLOCK = Path(__file__).parent / "wrong_clock"
#: Seconds; more than the visibility timeout of either transport.
AHEAD, BEHIND = 7200, -7200


@pytest.fixture
def server():
    with Valkey(tcp=True) as server:
        yield server


@pytest.fixture(params=["our transport", "kombu's transport"])
def scene(request, server, new_scene):
    # A unix socket's URL names kombu's own transport, which goes by the workers' clocks.
    ours = request.param == "our transport"
    broker = server.url if ours else f"redis+socket://{server.socket}?virtual_host=0"
    scene = new_scene(server, server, REDIS_URL=server.url, CELERY_BROKER_URL=broker)
    scene.redeliveries = 0 if ours else 2
    return scene


@pytest.mark.long
@pytest.mark.parametrize(
    ("caller", "other"),
    [(0, AHEAD), (BEHIND, 0)],
    ids=["other worker ahead", "caller behind"],
)
def test_wrong_wall_clock_of_a_worker_adds_no_call(scene, caller, other):
    scene.machine.start_worker("-P", "threads", "-c", "4", name="caller", env=clock_off_by(caller))
    running = scene.hold_meetings(2)

    scene.machine.start_worker("-P", "threads", "-c", "4", name="other", env=clock_off_by(other))
    scene.eventually(lambda: redelivered(scene) >= scene.redeliveries, 30)
    renewals = scene.watch_renewals(running[0], 4)
    scene.let_go()
    scene.wait_until_done(running)

    records, calls = [scene.record(key) for key in running], scene.machine.ledger.openai
    assert renewals, "for longer than a lease"
    assert scene.redeliveries == redelivered(scene)
    assert (2, 2, 0) == (calls.calls, calls.answered, calls.undelivered)
    assert [1, 1] == [record.attempts for record in records]
    assert [True, True] == [record.value.fresh and 0 <= record.value.age < 60 for record in records]
    scene.eventually(lambda: scene.log("caller").count("outcome=done") == 2, 15)


def clock_off_by(seconds):
    return {"PYTHONPATH": str(WRONG_CLOCK), "SKEW_SECONDS": str(seconds)}


def redelivered(scene):
    """How often a worker was handed a message of a call that goes on."""
    return scene.log("caller").count("job.skipped") + scene.log("other").count("job.skipped")
