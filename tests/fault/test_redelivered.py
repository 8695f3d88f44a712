import json

import pytest

pytestmark = [pytest.mark.fault, pytest.mark.redis_broker("tampers with what Redis keeps of messages")]

VISIBILITY = 2
#: kombu's own: after its timeout it hands out again what a worker is still busy with.
OPTIONS = {
    "visibility_timeout": VISIBILITY,
    "unacked_restore_interval": 0.5,
    "unacked_restore_throttle": 0,
}


def test_message_redelivered_during_its_call_adds_no_call(new_scene):
    conf = {"broker_transport": "redis", "broker_transport_options": OPTIONS}
    scene = new_scene(TAMPERED_CONF=json.dumps(conf))
    for name in ("one", "other"):
        scene.machine.start_worker("-P", "threads", "-c", "2", "-I", "tests.fault.tampered", name=name)
    [key] = scene.hold_meetings(1)

    scene.eventually(lambda: copies_refused(scene) >= 1, 30)
    scene.let_go()
    scene.wait_until_done([key])

    assert (1, 1) == (scene.machine.ledger.openai.calls, scene.record(key).attempts)


def copies_refused(scene):
    return sum(scene.log(name).count("job.skipped") for name in ("one", "other"))
