from dataclasses import replace

import pytest

from askonce.errors import Transient
from askonce.schedule import DeadLetters


def kill_jobs(one_entry, scene, *names, reason="http_503"):
    """Ask for each of *names*; each is dead then."""
    for name in names:
        scene.ask({"currency": name}, force=True)
        one_entry.work(failing(reason))


def failing(reason):
    def body():
        raise Transient(reason)

    return body


def dead(scene):
    return len(scene.store.letters.dead_jobs())


def test_dead_letters_of_some_reasons_are_replayed_and_the_others_stay(one_entry, scene):
    kill_jobs(one_entry, scene, "A", "B")
    kill_jobs(one_entry, scene, "C", reason="timeout@open:3")
    kill_jobs(one_entry, scene, "D", reason="rate_limited")
    scene.clock.advance(10.0)
    one_entry.begin(DeadLetters(task=one_entry.spec.name, reasons=("http_503", "timeout")))

    facts, made = one_entry.finish()

    assert ({"asked": 3, "admitted": 3}, 3, 1) == (facts, made, dead(scene))


def test_young_dead_letter_is_left_to_a_later_slot(one_entry, scene):
    kill_jobs(one_entry, scene, "A")
    scene.clock.advance(100.0)
    kill_jobs(one_entry, scene, "B")
    scene.clock.advance(1.0)
    one_entry.begin(DeadLetters(task=one_entry.spec.name, older_than=60.0))

    assert ({"asked": 1, "admitted": 1}, 1) == one_entry.finish()
    assert 1 == dead(scene)


def test_job_that_dies_again_is_replayed_once_a_slot(one_entry, scene):
    kill_jobs(one_entry, scene, *"ABCDE")
    scene.clock.advance(10.0)
    one_entry.begin(DeadLetters(task=one_entry.spec.name), rate=0.5)

    facts, made = one_entry.finish(failing("http_503"))

    assert ({"asked": 5, "admitted": 5}, 5, 5) == (facts, made, dead(scene))


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("number", [0, 2])
def test_cost_of_a_replay_is_counted_also_after_a_kill(one_entry, scene, when, number):
    kill_jobs(one_entry, scene, *"ABCD")
    scene.clock.advance(10.0)
    one_entry.begin(DeadLetters(task=one_entry.spec.name), max_cost=100.0)
    one_entry.kill(number, when)
    made = one_entry.work_until_killed()
    scene.clock.advance(60.0)

    facts, more = one_entry.finish()

    assert (4, 4, 1.0) == (made + more, facts["done"], facts["cost_usd"])


def test_ceiling_holds_for_replays(one_entry, scene):
    kill_jobs(one_entry, scene, *"ABCD")
    scene.clock.advance(10.0)
    one_entry.begin(DeadLetters(task=one_entry.spec.name), max_cost=0.6)
    for _ in range(9):
        one_entry.step()
        one_entry.work()

    assert (2, "cost ceiling 0.6 USD reached, 2 of 4 asked") == (dead(scene), one_entry.state.paused)


def test_dry_run_replays_nothing(one_entry, scene):
    kill_jobs(one_entry, scene, *"AB")
    scene.clock.advance(10.0)
    one_entry.begin(DeadLetters(task=one_entry.spec.name), dry_run=True)

    assert ({"would_ask": 2}, 0) == one_entry.finish()
    assert 2 == dead(scene)


def test_dead_letter_goes_where_its_first_message_went(one_entry, scene):
    scene.ask({"currency": "A"}, tenant="shop", run="invoices", headers={"trace": "1"})
    one_entry.work(failing("http_503"))
    scene.clock.advance(10.0)
    one_entry.begin(DeadLetters(task=one_entry.spec.name))
    one_entry.step()

    [message] = scene.sender.sent
    assert ("shop", "invoices", '{"trace":"1"}') == (
        message.job.tenant,
        message.job.run,
        message.job.routing.headers,
    )


def deploy(one_entry, scene, version="2"):
    """Let the task have another version: each payload has a new key then."""
    one_entry.spec = scene.spec = replace(one_entry.spec, version=version)


def test_letter_whose_new_key_has_an_answer_is_not_paid_again(one_entry, scene):
    kill_jobs(one_entry, scene, "A")
    deploy(one_entry, scene)
    scene.ask({"currency": "A"})
    one_entry.work()
    scene.clock.advance(10.0)
    one_entry.begin(DeadLetters(task=one_entry.spec.name))

    assert ({"asked": 1, "hit": 1}, 0) == one_entry.finish()
    assert 0 == dead(scene)


def test_letter_whose_new_key_is_in_flight_is_forgotten_and_not_paid_again(one_entry, scene):
    kill_jobs(one_entry, scene, "A")
    deploy(one_entry, scene)
    scene.ask({"currency": "A"})
    scene.clock.advance(10.0)
    one_entry.begin(DeadLetters(task=one_entry.spec.name))

    assert ({"asked": 1, "attached": 1}, 1) == one_entry.finish()
    assert 0 == dead(scene)


@pytest.mark.parametrize("policy", [{}, {"max_cost": 100.0}], ids=str)
@pytest.mark.parametrize("is_done", [False, True])
def test_letter_of_a_killed_worker_is_paid_once_under_its_new_key(one_entry, scene, policy, is_done):
    kill_jobs(one_entry, scene, "A", "B")
    deploy(one_entry, scene)
    scene.clock.advance(10.0)
    one_entry.begin(DeadLetters(task=one_entry.spec.name), **policy)
    one_entry.kill(1, "after")
    made = one_entry.work_until_killed() + (one_entry.work() if is_done else 0)
    scene.clock.advance(60.0)

    facts, more = one_entry.finish()

    assert (2, 0) == (made + more, dead(scene))
    # Without a ceiling the counts of the step that was cut off are lost.
    assert (2 if policy else 1) == facts["admitted"]


def test_letter_whose_new_key_has_failed_stays(one_entry, scene):
    kill_jobs(one_entry, scene, "A")
    deploy(one_entry, scene)
    kill_jobs(one_entry, scene, "A")
    scene.clock.advance(10.0)
    one_entry.begin(DeadLetters(task=one_entry.spec.name))

    facts, made = one_entry.finish()

    assert ({"asked": 2, "refused": 1, "admitted": 1}, 1, 1) == (facts, made, dead(scene))
