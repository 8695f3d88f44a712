import random
from dataclasses import replace

import pytest

from askonce.answer import Answer
from askonce.errors import Permanent
from askonce.execution import Computed
from askonce.schedule import GoingStale, Policy, StoredFile
from askonce.schedule.ceiling import to_micros
from askonce.schedule.position import WINDOW, Position
from askonce.schedules import Due, Slot, SlotDecision
from tests.unit.schedule.conftest import ENTRY, PRICE, Killed


def held(scene):
    return [event.data["note"] for event in scene.heard.named("schedule.paused")]


def step_until_held(one_entry, scene, body=None):
    """Return how many calls were made until the entry is paused."""
    made = 0
    for _ in range(100):
        one_entry.step()
        made += one_entry.work(body)
        if one_entry.state.paused is not None:
            return made
    pytest.fail("the entry is not paused")


def test_entry_pauses_at_its_ceiling_and_a_person_gives_it_as_much_again(one_entry, scene):
    one_entry.write_rows(10)
    one_entry.begin(max_cost=1.10)
    note = "cost ceiling 1.1 USD reached, 4 of 10 asked"

    assert 4 == step_until_held(one_entry, scene)
    assert (note, [note]) == (one_entry.state.paused, held(scene))
    rest = one_entry.step()
    assert ("paused", 10.0, 0) == (rest.reason, rest.after, one_entry.work())

    one_entry.resume()
    assert 4 == step_until_held(one_entry, scene)
    assert "cost ceiling 1.1 USD reached, 8 of 10 asked" == one_entry.state.paused
    one_entry.resume()
    facts, made = one_entry.finish()

    assert (2, 10, 10, 2.5) == (made, facts["admitted"], facts["done"], facts["cost_usd"])


def test_first_job_is_a_pilot_and_so_many_follow_as_the_ceiling_holds(one_entry, scene):
    one_entry.write_rows(100)
    one_entry.begin(max_cost=2.0)

    one_entry.step()
    pilots = len(scene.sender.sent)
    one_entry.work()
    one_entry.step()

    assert (1, 7) == (pilots, len(scene.sender.sent))


def test_jobs_that_are_followed_are_bounded(one_entry, scene):
    one_entry.write_rows(100)
    one_entry.begin(max_cost=1000.0)
    one_entry.step()
    one_entry.work()
    one_entry.step()

    assert WINDOW == len(scene.sender.sent)
    reference = scene.read(one_entry.key).checkpoint
    assert WINDOW == len(Position.decode(reference).flight)
    assert len(reference) < 8192


@pytest.mark.parametrize("seed", range(10))
def test_no_order_of_ends_and_kills_passes_the_ceiling_or_loses_a_row(one_entry, scene, seed):
    draws = random.Random(seed)
    one_entry.write_rows(40)
    ceiling, spent = 1.6, 0
    one_entry.begin(max_cost=ceiling)

    def die_sometimes(_number):
        if draws.random() < 0.05:
            raise Killed

    one_entry.before = one_entry.after = die_sometimes
    for _ in range(2000):
        try:
            last = one_entry.step()
        except Killed:
            scene.clock.advance(60.0)
            continue
        spent += one_entry.work(most=draws.randrange(4))
        assert len(scene.sender.sent) * PRICE + spent * PRICE <= ceiling * (1 + one_entry.state.resumed)
        if one_entry.state.paused is not None:
            one_entry.resume()
        if isinstance(last, Computed):
            break
        scene.clock.advance(1.0)

    assert 40 == spent
    assert (40, 40, 10.0) == tuple(last.result.value[name] for name in ("asked", "done", "cost_usd"))


def test_ceiling_of_nothing_asks_for_nothing(one_entry, scene):
    one_entry.write_rows(3)
    one_entry.begin(max_cost=0.0)
    one_entry.step()

    assert [] == scene.sender.sent
    assert "cost ceiling 0 USD reached, 0 of 3 asked" == one_entry.state.paused


def test_price_that_nobody_knows_pauses_the_entry_by_name(one_entry, scene):
    one_entry.write_rows(3)
    one_entry.begin(max_cost=1.0)

    assert 1 == step_until_held(one_entry, scene, lambda: Answer(1))
    assert "what a call of rates.fetch costs is unknown, and max_cost is set" == one_entry.state.paused


def test_cost_that_one_job_does_not_tell_counts_as_the_dearest(one_entry, scene):
    one_entry.write_rows(10)
    one_entry.begin(max_cost=1.0)
    one_entry.step()
    one_entry.work()
    one_entry.step()

    def in_doubt():
        raise Permanent("http_500", maybe_billed=True)

    one_entry.work(in_doubt, most=1)

    assert 2 == step_until_held(one_entry, scene)
    assert "cost ceiling 1 USD reached, 4 of 10 asked" == one_entry.state.paused


def test_unpaid_failure_is_no_pilot(one_entry, scene):
    one_entry.write_rows(10)
    one_entry.begin(max_cost=1.0)
    one_entry.step()

    def refused():
        raise Permanent("http_400")

    one_entry.work(refused)
    one_entry.step()

    assert 1 == len(scene.sender.sent)


def test_job_of_somebody_else_costs_the_slot_nothing(one_entry, scene):
    one_entry.write_rows(2)
    scene.ask({"currency": "C0"})
    one_entry.begin(max_cost=0.30)

    facts, made = one_entry.finish()

    assert (2, {"asked": 2, "attached": 1, "admitted": 1, "done": 1, "cost_usd": 0.25}) == (made, facts)


def test_kill_before_the_pause_gives_no_more_to_spend(one_entry, scene):
    one_entry.write_rows(10)
    one_entry.begin(max_cost=0.5)
    pause, schedules = scene.store.schedules.pause, scene.store.schedules

    def kill(*_):
        schedules.pause = pause
        raise Killed

    schedules.pause = kill
    made = one_entry.work_until_killed()
    scene.clock.advance(60.0)

    assert 2 == made
    assert 0 == step_until_held(one_entry, scene)
    assert "cost ceiling 0.5 USD reached, 2 of 10 asked" == one_entry.state.paused


def test_slot_of_an_entry_that_a_person_paused_asks_for_nothing(one_entry, scene):
    one_entry.write_rows(2)
    one_entry.begin()
    scene.store.schedules.pause(ENTRY, "ana: invoice")

    rest = one_entry.step()
    assert [] == scene.sender.sent
    assert ("paused", 10.0) == (rest.reason, rest.after)
    one_entry.resume()

    assert ({"asked": 2, "admitted": 2}, 2) == one_entry.finish()


def force(one_entry, scene, **policy):
    """Pause the entry, and start a slot of it all the same."""
    scene.store.schedules.pause(ENTRY, "ana: invoice")
    one_entry.begin(by_hand=True, **policy)
    due = Due((Slot.named(one_entry.slot),), force=True)
    assert [SlotDecision.SEND] == scene.store.schedules.decide(ENTRY, due).slots


def test_slot_that_is_forced_runs_although_its_entry_is_paused(one_entry, scene):
    one_entry.write_rows(2)
    force(one_entry, scene)

    assert ({"asked": 2, "admitted": 2}, 2) == one_entry.finish()
    assert "ana: invoice" == one_entry.state.paused


def test_slot_that_is_forced_rests_in_a_pause_that_comes_later(one_entry, scene):
    one_entry.write_rows(30)
    force(one_entry, scene, rate=1.0)
    asked = one_entry.step().reason
    scene.store.schedules.pause(ENTRY, "ana: that too")

    assert ("goes_on", "paused") == (asked, one_entry.step().reason)


def test_slot_that_is_forced_is_held_by_its_ceiling_until_a_person_resumes_it(one_entry, scene):
    one_entry.write_rows(4)
    force(one_entry, scene, max_cost=0.5)
    made = 0
    while (reason := one_entry.step().reason) == "goes_on":
        made += one_entry.work()
    assert ("held", 2, "paused", 0) == (reason, made, one_entry.step().reason, one_entry.work())
    one_entry.resume()

    facts, made = one_entry.finish()

    assert (2, 4) == (made, facts["done"])


def test_slot_rests_while_another_one_of_its_entry_is_forced(one_entry, scene):
    one_entry.write_rows(2)
    force(one_entry, scene)
    scene.clock.advance(1.0)
    one_entry.begin()
    one_entry.step()

    assert [] == scene.sender.sent


@pytest.mark.parametrize(("dollars", "micros"), [(0.1, 100_000), (0.29, 290_000), (1e-7, 0), (3, 3_000_000)])
def test_dollars_are_millionths_rounded_down(dollars, micros):
    assert micros == to_micros(dollars)


def test_position_of_another_form_is_none():
    mine = Position(1.0, flight={"a": "b"})
    assert mine == Position.decode(mine.encode())
    for text in ("", "{}", "[]", mine.encode().replace('"form":1', '"form":2'), "not json"):
        assert Position.decode(text) is None


def test_slot_that_waits_for_long_calls_looks_less_often(one_entry, scene):
    one_entry.write_rows(3)
    one_entry.begin(max_cost=10.0)

    rests = [one_entry.step().after for _ in range(6)]
    one_entry.work()

    assert [1.0, 2.0, 4.0, 5.0, 5.0, 5.0] == rests
    assert 1.0 == one_entry.step().after


def test_entry_that_is_changed_under_way_begins_with_its_new_query(one_entry, scene):
    one_entry.write_rows(20)
    one_entry.begin(max_cost=10.0)
    one_entry.step()
    one_entry.work()
    one_entry.step()
    query = GoingStale(task=one_entry.spec.name)
    one_entry.entry = replace(one_entry.entry, query=query, policy=Policy())

    done = one_entry.step()

    assert isinstance(done, Computed)
    assert 20 == done.result.value["admitted"]


def test_job_of_a_killed_worker_costs_although_its_query_is_changed(one_entry, scene):
    one_entry.write_rows(20)
    one_entry.begin(max_cost=0.5)
    one_entry.kill(1, "after")
    made = one_entry.work_until_killed()
    scene.clock.advance(60.0)
    other = one_entry.folder / "others.jsonl"
    other.write_text('{"currency": "D0"}\n{"currency": "D1"}\n')
    query = StoredFile(task=one_entry.spec.name, path=other)
    one_entry.entry = replace(one_entry.entry, query=query)

    assert 2 == made + step_until_held(one_entry, scene)
    one_entry.resume()
    facts, made = one_entry.finish()

    assert (2, 4, 1.0) == (made, facts["done"], facts["cost_usd"])


@pytest.mark.parametrize(
    ("prices", "expected"),
    [
        # Each is dearer than the ceiling: one for each resume.
        ([0.25] * 3, [1, 1, 1]),
        # A cheap one leaves room, and the next one is a pilot again.
        ([0.25, 0.03, 0.03, 0.25, 0.03], [1, 3, 1]),
    ],
)
def test_entry_whose_job_costs_more_than_its_ceiling_goes_on_with_one_at_a_time(
    one_entry, scene, prices, expected
):
    one_entry.write_rows(len(prices))
    one_entry.begin(max_cost=0.1)
    bodies = iter([Answer(1, cost_usd=price) for price in prices])
    made = []
    for _ in expected:
        calls, last = 0, one_entry.step()
        while one_entry.state.paused is None and not isinstance(last, Computed):
            assert len(scene.sender.sent) <= 1
            calls, last = calls + one_entry.work(lambda: next(bodies)), one_entry.step()
        made.append(calls)
        one_entry.resume()

    assert expected == made
    note = f"cost ceiling 0.1 USD reached, 1 of {len(prices)} asked; a single job cost 0.25 USD"
    assert note == held(scene)[0]


def test_limit_of_a_part_of_a_cent_is_shown(one_entry, scene):
    one_entry.write_rows(2)
    one_entry.begin(max_cost=0.004)
    step_until_held(one_entry, scene, lambda: Answer(1, cost_usd=0.004))

    assert ["cost ceiling 0.004 USD reached, 1 of 2 asked"] == held(scene)
