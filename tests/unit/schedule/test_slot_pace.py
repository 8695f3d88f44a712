import pytest

from askonce.answer import Answer
from askonce.errors import Permanent
from askonce.schedule.position import Position


def failing():
    raise Permanent("http_404")


def most_in_a_second(moments):
    """Return how many of *moments* fall into one second, whichever it is."""
    return max(sum(start <= moment < start + 1 - 1e-6 for moment in moments) for start in moments)


@pytest.mark.parametrize("rate", [1.0, 2.5, 7.0, 40.0])
def test_no_second_has_more_jobs_than_the_rate(one_entry, rate):
    one_entry.write_rows(int(12 * rate) + 40)
    one_entry.begin(rate=rate)

    facts, made = one_entry.finish()

    assert made == facts["admitted"] == int(12 * rate) + 40
    assert most_in_a_second(one_entry.asked_at) <= -(-rate // 1)


def test_rests_of_a_second_hold_no_worker(one_entry):
    one_entry.write_rows(4)
    one_entry.begin(rate=0.1)

    rests = [one_entry.step() for _ in range(4)]

    assert [10.0] * 3 == [rest.after for rest in rests[:3]]
    assert [] == one_entry.waited
    assert {"asked": 4, "admitted": 4} == rests[3].result.value


def test_answers_that_are_there_wait_for_no_turn(one_entry, scene):
    one_entry.write_rows(50)
    for number in range(50):
        scene.ask({"currency": f"C{number}"})
    one_entry.work()
    one_entry.begin(rate=0.1)

    assert {"asked": 50, "hit": 50} == one_entry.step().result.value


@pytest.mark.parametrize("policy", [{"rate": 0.01}, {"max_cost": 0.3}], ids=str)
def test_what_costs_nothing_waits_neither_for_a_turn_nor_for_room(one_entry, scene, policy):
    answered = [{"currency": f"C{number}"} for number in range(20)]
    for row in answered:
        scene.ask(row)
    scene.ask({"currency": "X"})
    one_entry.work(lambda: failing() if len(scene.sender.sent) == 0 else Answer(1))
    one_entry.write(
        {"currency": "A"}, *answered, {"currency": "X"}, "no row", '{"currency": NaN}', {"currency": "B"}
    )
    one_entry.begin(**policy)
    one_entry.step()

    counts = Position.decode(scene.read(one_entry.key).checkpoint).counts
    assert {"admitted": 1, "hit": 20, "negative": 1, "invalid": 2} == counts
    assert 1 == len(scene.sender.sent)


@pytest.mark.parametrize("policy", [{"rate": 0.01}, {"max_cost": 0.3}], ids=str)
def test_row_whose_key_has_an_answer_to_another_payload_waits(one_entry, scene, policy):
    scene.ask({"currency": "B"})
    one_entry.work()
    one_entry.write({"currency": "A"}, {"currency": "B", "day": 1})
    one_entry.begin(**policy)
    one_entry.step()

    assert 1 == len(scene.sender.sent)


def test_worker_that_is_killed_makes_no_burst(one_entry, scene):
    one_entry.write_rows(30)
    one_entry.begin(rate=5.0)
    one_entry.kill(12, "after")
    one_entry.work_until_killed()
    one_entry.send()

    one_entry.finish()

    assert most_in_a_second(one_entry.asked_at) <= 5
