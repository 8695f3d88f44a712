from contextlib import closing

import pytest
from redis import Redis

from askonce.adapters.redis import RedisStore
from askonce.announcements import KEPT_FOR
from sandbox.machine import stop

pytestmark = pytest.mark.fault

POOLS = {"prefork": ("-P", "prefork", "-c", "2"), "threads": ("-P", "threads", "-c", "3")}
#: The server's clock, later by the time for which an announcement is kept.
LATER = f"""local function clock()
  local time = redis.call('TIME')
  return (time[1] + {KEPT_FOR}) * 1000000 + time[2]
end
"""


def names(store):
    return [each.worker.partition("@")[0] for each in store.announcements.workers()]


@pytest.mark.parametrize("pool", POOLS)
def test_worker_is_announced_until_it_stops(scene, pool):
    worker = scene.machine.start_worker(*POOLS[pool])
    [found] = scene.eventually(scene.store.announcements.workers)

    stop(worker)

    # RabbitMQ's queue has the namespace in its name.
    assert found.queues in (("askonce",), ("jobs:askonce",))
    assert int(POOLS[pool][-1]) == found.slots
    assert {"orders.enrich", "customers.lookup", "meetings.full"} < set(found.tasks)
    assert found.models["meetings.full"]
    assert [] == names(scene.store)


@pytest.mark.long
def test_worker_with_a_call_under_way_is_withdrawn_when_it_begins_to_stop(scene):
    worker = scene.machine.start_worker(*POOLS["threads"])
    scene.eventually(lambda: names(scene.store))
    [key] = scene.hold_meetings(1)

    worker.terminate()
    scene.eventually(lambda: not names(scene.store))
    running = scene.record(key).flight
    scene.let_go()
    scene.wait_until_done([key], scene.recovery)

    assert "running" == running


@pytest.mark.long
def test_killed_worker_is_forgotten_when_its_time_is_over(scene, kill_group):
    first = scene.machine.start_worker(*POOLS["prefork"], name="first")
    scene.machine.start_worker(*POOLS["threads"], name="second")
    scene.eventually(lambda: ["first", "second"] == names(scene.store))

    kill_group(first)

    assert ["first", "second"] == names(scene.store)
    with (
        Redis.from_url(scene.records.url) as client,
        closing(RedisStore(client, namespace="jobs", clock=LATER)) as later,
    ):
        assert [] == names(later)
    scene.eventually(lambda: ["second"] == names(scene.store), KEPT_FOR + 5)


def test_worker_goes_on_while_its_store_does_not_list_it(scene):
    scene.client.execute_command("ACL", "SETUSER", "default", "-zremrangebyrank")

    scene.machine.start_worker(*POOLS["threads"])
    keys = scene.submit("meetings.extract", scene.meetings(1))
    scene.wait_until_done(keys, scene.recovery)

    log = (scene.machine.folder / "worker.log").read_text()
    assert 1 == log.count("worker.unannounced reason=StoreUnavailable")
    assert "thread.restarted" not in log


@pytest.mark.long
@pytest.mark.redis_broker("its servers and links are Redis's")
def test_worker_without_its_broker_announces_no_queue(new_linked_scene):
    scene = new_linked_scene()
    scene.machine.start_worker(*POOLS["threads"])

    def queues():
        return [each.queues for each in scene.store.announcements.workers()]

    scene.eventually(lambda: [("askonce",)] == queues())
    with scene.to_messages.refusing():
        scene.to_messages.cut()
        scene.eventually(lambda: [()] == queues(), 20)
    scene.eventually(lambda: [("askonce",)] == queues(), 30)
