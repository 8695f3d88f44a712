import pytest

pytestmark = [pytest.mark.fault, pytest.mark.redis_broker("tampers with what Redis keeps of messages")]


def test_full_server_refuses_new_jobs_and_keeps_the_old_ones(scene):
    keys = scene.submit("meetings.extract", scene.meetings(2))
    scene.client.config_set("maxmemory", "1")

    refused, _ = scene.ask("meetings.extract", scene.meetings(1))
    scene.client.config_set("maxmemory", "0")
    scene.machine.start_worker("-P", "threads", "-c", "2")
    scene.wait_until_done(keys)

    assert 69 == refused
    assert 2 == scene.machine.ledger.openai.calls
