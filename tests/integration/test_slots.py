"""Slots on a real server: the same rounds as in memory, step by step."""

import random
from contextlib import closing
from dataclasses import replace

import pytest
from redis import Redis

from askonce.adapters.redis import RedisStore
from askonce.errors import Transient
from askonce.execution import Computed
from askonce.schedule import DeadLetters, GoingStale
from askonce.schedules import Due, Slot
from tests.unit.conftest import Heard, ProducerAndWorker
from tests.unit.schedule.conftest import ENTRY, Killed, OneEntry

pytestmark = pytest.mark.integration


@pytest.fixture
def one_entry(valkey, new_server_clock, tmp_path):
    with Redis.from_url(valkey.url) as client:
        client.flushall()
        clock = new_server_clock(client)
        with closing(RedisStore(client, namespace="test", clock=clock.lua)) as store:
            scene = ProducerAndWorker(clock, Heard())
            scene.use(store)
            yield OneEntry(scene, tmp_path)


@pytest.mark.parametrize("seed", range(3))
def test_kills_and_pauses_lose_no_row_and_no_cent(one_entry, seed):
    draws, scene, made = random.Random(seed), one_entry.scene, 0
    one_entry.write_rows(30)
    one_entry.begin(max_cost=2.1)

    def die_sometimes(_number):
        if draws.random() < 0.05:
            raise Killed

    one_entry.before = one_entry.after = die_sometimes
    for _ in range(1000):
        try:
            last = one_entry.step()
        except Killed:
            scene.clock.advance(60.0)
            continue
        made += one_entry.work(most=draws.randrange(5))
        if one_entry.state.paused is not None:
            one_entry.resume()
        if isinstance(last, Computed):
            break
        scene.clock.advance(1.0)

    facts = last.result.value
    assert (30, 30, 30, 7.5) == (made, facts["asked"], facts["done"], facts["cost_usd"])
    assert one_entry.state.resumed >= 3


def test_dead_letters_are_replayed_once(one_entry):
    def failing():
        raise Transient("http_503")

    for number in range(5):
        one_entry.scene.ask({"currency": f"C{number}"})
    one_entry.work(failing)
    one_entry.scene.clock.advance(10.0)
    one_entry.begin(DeadLetters(task=one_entry.spec.name, reasons=("http_503",)), rate=0.5)

    assert ({"asked": 5, "admitted": 5}, 5) == one_entry.finish(failing)
    assert 5 == len(one_entry.scene.store.letters.dead_jobs())


def test_letters_of_an_older_version_are_not_paid_again(one_entry):
    def failing():
        raise Transient("http_503")

    for number in range(4):
        one_entry.scene.ask({"currency": f"C{number}"})
    one_entry.work(failing)
    one_entry.spec = one_entry.scene.spec = replace(one_entry.spec, version="2")
    one_entry.scene.ask({"currency": "C0"})
    one_entry.work()
    one_entry.scene.ask({"currency": "C1"})
    one_entry.scene.clock.advance(10.0)
    one_entry.begin(DeadLetters(task=one_entry.spec.name))

    assert ({"asked": 4, "hit": 1, "attached": 1, "admitted": 2}, 3) == one_entry.finish()
    assert [] == one_entry.scene.store.letters.dead_jobs()


def test_slot_that_is_forced_runs_in_a_pause_until_its_ceiling(one_entry):
    one_entry.write_rows(4)
    one_entry.scene.store.schedules.pause(ENTRY, "stop")
    one_entry.begin(by_hand=True, max_cost=0.5)
    one_entry.scene.store.schedules.decide(ENTRY, Due((Slot.named(one_entry.slot),), force=True))
    made = 0
    while (reason := one_entry.step().reason) == "goes_on":
        made += one_entry.work()

    assert ("held", 2, "paused") == (reason, made, one_entry.step().reason)
    assert "cost ceiling 0.5 USD reached, 2 of 4 asked" == one_entry.state.paused


def test_what_goes_stale_is_made_anew_once(one_entry):
    for _ in range(2):
        for number in range(20):
            one_entry.scene.ask({"currency": f"C{number}"})
        one_entry.work()
    one_entry.scene.clock.advance(3001.0)
    one_entry.begin(GoingStale(task=one_entry.spec.name))

    assert ({"asked": 20, "admitted": 20}, 20) == one_entry.finish()
