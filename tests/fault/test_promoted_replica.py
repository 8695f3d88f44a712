import pytest
from redis import Redis

from sandbox.valkey import Valkey
from tests.deadlines import stretched
from tests.servers.proxy import Proxy

pytestmark = [
    pytest.mark.fault,
    pytest.mark.redis_broker("its servers and links are Redis's"),
    pytest.mark.long,
]


class Pair:
    """A replica that follows the scene's server by a link of its own, and can take its place."""

    def __init__(self, scene, replica, to_primary):
        self.scene, self.replica, self.to_primary = scene, replica, to_primary
        self.client = Redis.from_url(replica.url, decode_responses=True)
        self.client.replicaof("127.0.0.1", str(to_primary.port))
        scene.eventually(lambda: self.client.info("replication")["master_link_status"] == "up", 30)

    def has_all(self):
        """Tell whether the replica has what the primary was told so far."""
        return self.scene.client.wait(1, 100) == 1

    def promote(self):
        """Kill the primary and let its address lead to the replica."""
        self.scene.records.kill()
        self.client.replicaof("NO", "ONE")
        self.scene.to_records.target = self.replica.port
        self.scene.to_records.cut()
        self.scene.look_at(self.replica)


@pytest.fixture
def scene(new_linked_scene):
    return new_linked_scene(together=True, options="repl-diskless-sync-delay 0")


@pytest.fixture
def pair(scene):
    with Valkey(tcp=True) as replica, Proxy(scene.records.port) as to_primary:
        pair = Pair(scene, replica, to_primary)
        yield pair
        pair.client.close()


def test_claim_lost_in_a_failover_costs_one_call(scene, pair):
    scene.machine.start_worker("-P", "threads", "-c", "8")
    asker = scene.new_asker()
    [first, second] = scene.meetings(2)
    known = asker.ask("meetings.extract", first)["key"]
    scene.wait_until_done([known])
    scene.eventually(pair.has_all, 30)

    with pair.to_primary.blocked():
        scene.machine.control(hold=True)
        lost = asker.ask("meetings.extract", second)["key"]
        assert scene.machine.wait_for_held(1, stretched(30))
        fence = scene.record(lost).fence
        asker.begin_to_wait(60)
        pair.promote()
        # The one who waits asks again: the new primary knows nothing of this job.
        assert scene.machine.wait_for_held(2, stretched(30))
    scene.let_go()
    answers = {answer["key"]: answer for answer in asker.heard()}
    scene.eventually(lambda: "job.fenced" in scene.log(), 15)

    visible, calls = scene.record(lost), scene.machine.ledger.openai
    assert {known, lost} == answers.keys()
    assert (3, 1) == (calls.answered, calls.surplus), "one call more, whose claim was lost"
    assert 1 == scene.log().count("job.fenced")
    assert fence < visible.value.fence == answers[lost]["fence"]


def test_claim_that_was_replicated_costs_no_call_at_a_failover(scene, pair):
    scene.machine.start_worker("-P", "threads", "-c", "8")
    running = scene.hold_meetings(2)
    scene.eventually(pair.has_all, 30)

    pair.promote()
    scene.let_go()
    scene.wait_until_done(running)

    calls = scene.machine.ledger.openai
    assert (2, 0) == (calls.answered, calls.surplus)
    assert "job.fenced" not in scene.log()


def test_fence_rises_over_an_emptied_server_and_over_a_failover(scene, pair):
    scene.machine.start_worker("-P", "threads", "-c", "2")
    asker, [meeting], fences = scene.new_asker(), scene.meetings(1), []

    def run():
        key = scene.eventually(lambda: asker.ask("meetings.extract", meeting).get("key"), 30)
        scene.wait_until_done([key])
        fences.append(scene.record(key).value.fence)

    run()
    scene.client.flushall()
    scene.eventually(pair.has_all, 30)
    with pair.to_primary.blocked():
        run()
        pair.promote()
    run()

    assert 3 == scene.machine.ledger.openai.answered
    assert sorted(set(fences)) == fences
