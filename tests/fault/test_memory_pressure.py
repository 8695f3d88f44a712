from itertools import count

import pytest

pytestmark = pytest.mark.fault

#: Longer than any record lives, so that a server that takes the shortest time first takes the records.
CACHE_SECONDS = 400 * 86_400


def test_evicted_records_cost_a_call_more_at_most_and_the_queue_stays(scene):
    worker = scene.machine.start_worker("-P", "threads", "-c", "4")
    answered = scene.meetings(3)
    keys = scene.submit("meetings.extract", answered)
    scene.wait_until_done(keys)
    worker.terminate()
    worker.wait(30)
    queued = scene.submit("meetings.extract", scene.meetings(3))

    evict_all_that_has_an_end(scene)
    assert (3, []) == (scene.client.llen(scene.queue), scene.client.keys("*:rec:*"))
    scene.submit("meetings.extract", answered)
    scene.machine.start_worker("-P", "threads", "-c", "4", name="second")
    scene.wait_until_done([*keys, *queued])

    assert [1, 1, 1, 2, 2, 2] == sorted(scene.machine.ledger.openai.by_content.values())


def evict_all_that_has_an_end(scene):
    """Be an application beside that fills the server, until it has taken every record away."""
    client, number = scene.client, count()
    client.config_set("maxmemory-policy", "volatile-ttl")
    client.config_set("maxmemory", client.info("memory")["used_memory"] + 4_000_000)

    def fill():
        for _ in range(100):
            client.set(f"cache:{next(number)}", b"x" * 20_000, ex=CACHE_SECONDS)
        return not client.keys("*:rec:*")

    scene.eventually(fill, 30)
    client.config_set("maxmemory", "0")


def test_full_server_refuses_to_be_asked_and_keeps_what_it_was_told(scene):
    keys = scene.submit("meetings.extract", scene.meetings(2))
    scene.client.config_set("maxmemory", "1")

    refused, _ = scene.ask("meetings.extract", scene.meetings(1))
    scene.client.config_set("maxmemory", "0")
    scene.machine.start_worker("-P", "threads", "-c", "2")
    scene.wait_until_done(keys)

    assert 69 == refused
    assert 2 == scene.machine.ledger.openai.calls
