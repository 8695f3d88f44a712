from dataclasses import replace

import pytest

from askonce.answer import Answer
from askonce.execution import Failed
from askonce.schedule import GoingStale


def answered(one_entry, scene, count, **options):
    """Ask for so many, and twice: each is answered, and wanted."""
    for number in range(count):
        scene.ask({"currency": f"C{number}"}, **options)
    one_entry.work()
    for number in range(count):
        scene.ask({"currency": f"C{number}"}, **options)


def begin(one_entry, within=None, **policy):
    one_entry.begin(GoingStale(task=one_entry.spec.name, within=within), **policy)


def test_what_goes_stale_before_the_next_slot_is_made_anew_once(one_entry, scene):
    answered(one_entry, scene, 40)
    scene.clock.advance(3001.0)
    begin(one_entry)

    facts, made = one_entry.finish()

    assert ({"asked": 40, "admitted": 40}, 40) == (facts, made)
    assert scene.read(scene.ask({"currency": "C0"}).key).value.age < 60


def test_what_is_fresh_for_longer_or_that_nobody_wants_is_left_alone(one_entry, scene):
    scene.ask({"currency": "unwanted"})
    one_entry.work()
    scene.clock.advance(2000.0)
    answered(one_entry, scene, 5)
    scene.clock.advance(1001.0)
    begin(one_entry)

    assert ({"asked": 0}, 0) == one_entry.finish()


def test_answer_that_somebody_made_anew_meanwhile_is_a_hit(one_entry, scene):
    answered(one_entry, scene, 1)
    scene.clock.advance(3001.0)
    begin(one_entry)

    def make_it_anew(_number):
        scene.ask({"currency": "C0"}, force=True)
        one_entry.work()

    one_entry.before = make_it_anew

    assert ({"asked": 1, "hit": 1}, 0) == one_entry.finish()


def test_answer_goes_to_its_tenant(one_entry, scene):
    answered(one_entry, scene, 1, tenant="shop")
    scene.clock.advance(3001.0)
    begin(one_entry)
    one_entry.step()

    assert ["shop"] == [message.job.tenant for message in scene.sender.sent]


def test_refresh_has_a_ceiling_and_goes_on_behind_what_failed(one_entry, scene):
    answered(one_entry, scene, 8)
    scene.clock.advance(3001.0)
    begin(one_entry, max_cost=1.0)
    for _ in range(9):
        one_entry.step()
        one_entry.work()

    assert "cost ceiling 1 USD reached, 4 of 8 asked" == one_entry.state.paused
    one_entry.resume()
    facts, made = one_entry.finish()
    assert (4, 2.0, 8) == (made, facts["cost_usd"], facts["asked"])


def test_answers_of_an_older_version_are_left_alone(one_entry, scene):
    answered(one_entry, scene, 2)
    scene.clock.advance(3001.0)
    one_entry.spec = scene.spec = replace(one_entry.spec, version="2")
    begin(one_entry)

    assert ({"asked": 0}, 0) == one_entry.finish()


def test_task_that_keeps_no_payloads_is_refused_by_name(one_entry, scene):
    one_entry.spec = replace(one_entry.spec, keep_payload=False)
    begin(one_entry)

    failed = one_entry.step()

    assert isinstance(failed, Failed)
    [refused] = scene.heard.named("schedule.refused")
    assert "payloads_not_kept" == failed.reason
    assert refused.data["reason"].endswith("rates.fetch keeps no payloads: set keep_payload in its JobSpec")


def test_answer_without_its_payload_is_told_and_the_others_are_made_anew(one_entry, scene):
    kept, one_entry.spec = one_entry.spec, replace(one_entry.spec, keep_payload=False)
    scene.spec = one_entry.spec
    answered(one_entry, scene, 1)
    one_entry.spec = scene.spec = kept
    scene.ask({"currency": "X"})
    one_entry.work(lambda: Answer(1))
    scene.ask({"currency": "X"})
    scene.clock.advance(3001.0)
    begin(one_entry)

    facts, made = one_entry.finish()

    assert ({"asked": 2, "invalid": 1, "admitted": 1}, 1) == (facts, made)
    [refused] = scene.heard.named("schedule.refused")
    assert "its payload was not kept" == refused.data["reason"]


@pytest.mark.parametrize("within", [100.0, 700.0])
def test_time_within_is_the_entrys_own(one_entry, scene, within):
    answered(one_entry, scene, 1)
    scene.clock.advance(3000.0)
    begin(one_entry, within=within)

    assert (within > 600.0) == one_entry.finish()[1]
