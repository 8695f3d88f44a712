import pytest
from celery import chain, chord, group

from askonce.errors import JobFailed
from askonce.outcomes import Hit
from tests.deadlines import stretched

pytestmark = [
    pytest.mark.integration,
    # Celery's result backend speaks redis-py's older language.
    pytest.mark.filterwarnings("ignore:Call to deprecated setex:DeprecationWarning"),
]


def get(result):
    return result.get(timeout=stretched(20))


def test_delay_twice_is_one_run_and_one_result(kept, number, gate):
    kept.calls.gates[number] = gate
    first, second = kept.add.delay(number), kept.add.delay(number)
    gate.set()

    assert first.id == second.id
    assert (get(first), get(second)) == (number + 1, number + 1)
    assert len(kept.calls.of(number)) == 1


def test_delay_of_what_is_answered_gives_the_result_that_is_there(kept, number):
    first = kept.add.delay(number)
    get(first)
    second = kept.add.delay(number)

    assert second.id == first.id
    assert get(second) == number + 1


def test_failed_call_is_tried_again_within_its_message(kept, number, errors):
    kept.calls.errors[number] = [errors["transient"]]

    assert get(kept.add.delay(number)) == number + 1
    assert len(kept.calls.of(number)) == 2


def test_permanent_failure_is_the_results_error_with_its_reason(kept, number, errors):
    kept.calls.errors[number] = [errors["permanent"]]

    with pytest.raises(JobFailed) as caught:
        get(kept.add.delay(number))

    assert (caught.value.kind, caught.value.reason, caught.value.attempts) == ("permanent", "http_404", 1)


def test_chain_hands_each_answer_on(kept, number):
    result = chain(kept.add.s(number, 1), kept.add.s(10), kept.add.s(100)).delay()

    assert get(result) == number + 111
    assert kept.calls.of(number) == [("add", number, 1)]


def test_chain_of_answered_parts_completes(kept, number):
    for _ in range(2):
        assert get(chain(kept.add.s(number, 1), kept.add.s(10)).delay()) == number + 11

    assert len(kept.calls.of(number)) == 1
    assert len(kept.calls.of(number + 1)) == 1


def test_every_equal_part_of_a_group_gets_the_answer_of_one_run(kept, number):
    result = group(kept.add.s(number, 5) for _ in range(6)).delay()

    assert get(result) == [number + 5] * 6
    assert len(kept.calls.of(number)) == 1


def test_chord_of_duplicates_and_answered_parts_completes(kept, number):
    answered = kept.add.enqueue({"n": number, "more": 1})
    assert answered.result(stretched(10)).value == number + 1

    parts = [kept.add.s(number, 1), kept.add.s(number, 2), kept.add.s(number, 2), kept.add.s(n=number)]
    result = chord(parts, kept.total.s()).delay()

    assert get(result) == 4 * number + 1 + 2 + 2 + 1
    assert len(kept.calls.of(number)) == 2


def test_chord_part_attaches_to_a_run_under_way(kept, number, gate, eventually):
    kept.calls.gates[number] = gate
    asked = kept.add.enqueue({"n": number, "more": 1})
    eventually(lambda: kept.calls.of(number))
    result = chord([kept.add.s(number), kept.add.s(number + 1)], kept.total.s()).delay()
    eventually(lambda: kept.calls.of(number + 1))

    gate.set()

    assert get(result) == 2 * number + 3
    assert asked.result(stretched(10)).value == number + 1
    assert len(kept.calls.of(number)) == 1


def test_answered_link_fires(kept, number, eventually):
    get(kept.add.delay(number))

    kept.add.apply_async((number,), link=kept.note.s(number + 500))

    assert eventually(lambda: kept.calls.of(number + 500)) == [("note", number + 500, number + 1)]
    assert len(kept.calls.of(number)) == 1


def test_link_of_a_new_call_fires(kept, number, eventually):
    kept.add.apply_async((number,), link=kept.note.s(number + 500))

    assert eventually(lambda: kept.calls.of(number + 500)) == [("note", number + 500, number + 1)]


def test_error_link_fires(kept, number, errors, eventually):
    kept.calls.errors[number] = [errors["permanent"]]

    kept.add.apply_async((number,), link_error=kept.note.si(None, number + 500))

    assert eventually(lambda: kept.calls.of(number + 500))


def test_answer_of_a_canvas_is_everybodys(kept, number):
    get(group(kept.add.s(number)).delay())

    assert isinstance(kept.add.enqueue({"n": number}), Hit)
