from dataclasses import replace

import pytest

from askonce import group
from askonce.errors import (
    OptionInvalid,
    PayloadInvalid,
    Permanent,
    RecordDamaged,
    SendFailed,
    StoreUnavailable,
    Superseded,
)
from askonce.outcomes import Admitted, Attached, Conflict, Duplicate, Hit, Negative
from askonce.record import Status


def days(*numbers):
    """Payloads of as many keys."""
    return [{"currency": f"C{number}", "day": "2026-11-20"} for number in numbers]


def versions(*numbers):
    """Payloads of one key with other content."""
    return [{"currency": "BRL", "day": f"2026-11-{number:02}"} for number in numbers]


def kinds(outcomes):
    return [type(outcome) for outcome in outcomes]


@pytest.fixture
def ask(scene):
    """Enqueue a group."""
    return lambda payloads, **options: scene.producer.enqueue_many(scene.spec, payloads, **options)


def test_group_has_one_outcome_for_each_payload_in_order(scene, ask):
    scene.answered({"currency": "C1", "day": "2026-11-20"})
    scene.ask({"currency": "C2", "day": "2026-11-20"})

    outcomes = ask(iter(days(0, 1, 2, 3)))

    assert [Admitted, Hit, Attached, Admitted] == kinds(outcomes)
    assert [asked.key for asked in map(scene.ask, days(0, 1, 2, 3))] == [each.key for each in outcomes]
    assert scene.answer == outcomes[1].answer.value


def test_new_jobs_of_a_group_are_sent_in_order_with_what_one_has(scene, ask):
    ask(days(0, 1), tenant="acme", run="night", priority=3)
    for payload in days(2, 3):
        scene.ask(payload, tenant="acme", run="night", priority=3)

    jobs = [message.job for message in scene.sender.sent]
    assert [f"C{number}" in str(job.payload) for number, job in enumerate(jobs)] == [True] * 4
    same = {(job.tenant, job.run, job.routing, job.task, job.version, job.admitted_at) for job in jobs}
    assert 1 == len(same)
    assert 4 == len({job.id for job in jobs})


def test_callers_of_a_group_get_their_answers(scene, ask):
    first, second = ask(days(0, 0))
    scene.work()

    assert [scene.answer] * 2 == [first.result(0).value, second.result(0).value]


def test_empty_group_has_no_outcomes(scene, ask):
    assert [] == ask([])
    assert [] == scene.sender.sent


def test_equal_payloads_of_a_group_are_one_job(scene, ask):
    outcomes = ask(days(0, 1, 0, 0))

    assert [Admitted, Admitted, Attached, Attached] == kinds(outcomes)
    assert {outcomes[0].job} == {outcomes[number].job for number in (0, 2, 3)}
    assert 2 == len(scene.sender.sent)


def test_equal_payloads_of_a_group_are_refused_on_request(ask):
    assert [Admitted, Duplicate] == kinds(ask(days(0, 0), on_duplicate="reject"))


def test_of_other_content_under_one_key_the_last_is_called(scene, ask):
    outcomes = ask([*versions(1), *days(0), *versions(2, 3)])

    assert [Superseded, Admitted, Superseded, Admitted] == kinds(outcomes)
    assert [(3, outcomes[3].job, outcomes[3].key)] * 2 == [
        (each.by, each.job, each.key) for each in (outcomes[0], outcomes[2])
    ]
    assert 2 == len(scene.sender.sent)
    assert b"2026-11-03" in scene.sender.sent[-1].job.payload


def test_content_that_its_caller_waits_for_is_not_replaced(scene, ask):
    [waited] = ask(versions(1))
    keys = {waited.key: scene.sender.sent[0].job.fingerprint}
    before = dict(scene.store.tally.totals())

    outcomes = ask([*versions(2, 1, 3), *days(0)], under_way=keys.get)

    assert [Superseded, Superseded, Conflict, Admitted] == kinds(outcomes)
    assert waited.job == scene.read().job
    assert not any(counter.what == "conflict" for counter in {**before, **scene.store.tally.totals()})
    assert [Attached] == kinds(ask(versions(1), under_way=keys.get))


def test_content_that_comes_back_is_the_last(scene, ask):
    outcomes = ask(versions(1, 2, 1))

    assert [Admitted, Superseded, Attached] == kinds(outcomes)
    assert (2, outcomes[2].job) == (outcomes[1].by, outcomes[1].job)
    assert 1 == len(scene.sender.sent)


def test_content_that_is_replaced_by_an_invalid_payload_is_called(ask):
    outcomes = ask([*versions(1), {"currency": "BRL", "day": {1}}])

    assert [Admitted, PayloadInvalid] == kinds(outcomes)


def test_refused_conflict_keeps_the_first_of_a_group(scene, ask):
    scene.use(scene.store, replace(scene.spec, on_mismatch="conflict"))

    outcomes = ask(versions(1, 2, 3))

    assert [Admitted, Conflict, Conflict] == kinds(outcomes)
    assert b"2026-11-01" in scene.sender.sent[0].job.payload


def test_earlier_group_hears_that_a_later_one_replaced_its_job(scene, ask):
    [earlier] = ask(versions(1))
    [later] = ask(versions(2))
    scene.work()

    with pytest.raises(Superseded) as superseded:
        earlier.result(0)
    assert superseded.value.by is None
    assert scene.answer == later.result(0).value


def test_earlier_group_keeps_the_answer_that_it_got(scene, ask):
    [earlier] = ask(versions(1))
    scene.work()
    answer = earlier.result(0)
    ask(versions(2))

    assert scene.answer == answer.value


def test_invalid_payload_costs_no_other_one_its_outcome(scene, ask):
    outcomes = ask([*days(0), {"day": {1}}, PayloadInvalid(field="row", reason="is torn"), 5, *days(1)])

    assert [Admitted, PayloadInvalid, PayloadInvalid, PayloadInvalid, Admitted] == kinds(outcomes)
    assert ["day", "row", ""] == [each.field for each in outcomes[1:4]]
    assert 2 == len(scene.sender.sent)


def test_answers_of_a_group_are_joined_to_each_row(scene, ask):
    spec = replace(
        scene.spec, input=lambda row: {"currency": row["currency"]}, present=lambda row, a: row | a
    )
    scene.use(scene.store, spec)
    scene.answered({"currency": "C0", "row": 0})

    outcomes = ask([{"currency": "C0", "row": 1}, {"currency": "C0", "row": 2}, {"currency": "C1", "row": 3}])
    scene.work()

    assert [1, 2, 3] == [each.result(0).value["row"] for each in outcomes]


def test_kept_failure_answers_a_group(scene, ask, raising):
    scene.answered(days(0)[0], raising(Permanent("http_404")))

    assert [Negative, Admitted] == kinds(ask(days(0, 1)))


def test_ids_of_a_group_are_those_of_its_new_jobs(scene, ask):
    scene.ask(days(1)[0])

    outcomes = ask(days(0, 1), jobs=["mine-0", "mine-1"])

    assert [Admitted, Attached] == kinds(outcomes)
    assert "mine-0" == outcomes[0].job == scene.sender.sent[-1].job.id
    assert ("jobs",) == outcomes[1].ignored


def test_group_with_its_ids_again_returns_the_same_outcomes(scene, ask):
    first = ask(days(0, 1), jobs=["a", "b"])
    again = ask(days(0, 1), jobs=["a", "b"])

    assert [Admitted] * 2 == kinds(again)
    assert [(each.key, each.job) for each in first] == [(each.key, each.job) for each in again]


@pytest.mark.parametrize("jobs", [["a"], ["a", "b", "c"], "ab", ["a", ""], ["a", 5]])
def test_ids_that_do_not_fit_are_refused(scene, ask, jobs):
    with pytest.raises(OptionInvalid, match="option=jobs"):
        ask(days(0, 1), jobs=jobs)
    assert [] == scene.sender.sent


@pytest.mark.parametrize(
    ("options", "name"),
    [
        ({"job": "mine"}, "job"),
        ({"tennant": "x"}, "tennant"),
        ({"tenant": None}, "tenant"),
        ({"max_age": -1}, "max_age"),
    ],
)
def test_option_of_a_group_is_refused_by_name(scene, ask, options, name):
    with pytest.raises(OptionInvalid) as refused:
        ask(days(0), **options)
    assert name == refused.value.option
    assert [] == scene.sender.sent


def test_options_that_a_job_in_flight_does_not_take_are_named(ask):
    ask(days(0))

    [attached] = ask(days(0), expires=30.0)

    assert ("expires",) == attached.ignored


def test_large_group_is_admitted_in_parts_of_rows_and_bytes(scene, monkeypatch):
    parts = []
    admit_many = scene.store.admit_many
    monkeypatch.setattr(
        scene.store, "admit_many", lambda claims: parts.append(len(claims)) or admit_many(claims)
    )
    large = [{"currency": f"L{number}", "text": "x" * (group.SIZE // 3)} for number in range(5)]

    scene.producer.enqueue_many(scene.spec, [*days(*range(1001)), *large])

    assert [500, 500, 3, 2, 1] == parts


def test_payload_larger_than_a_part_is_one_alone(scene):
    spec = replace(scene.spec, max_payload_bytes=3 * group.SIZE)
    payload = {"currency": "C1", "text": "x" * (2 * group.SIZE)}

    assert [Admitted] * 3 == kinds(scene.producer.enqueue_many(spec, [*days(0), payload, *days(2)]))


def test_store_that_is_down_is_an_error_of_the_whole_group(scene, ask):
    scene.fail_on("admit_many", times=1)

    with pytest.raises(StoreUnavailable):
        ask(days(0, 1), jobs=["a", "b"])
    assert ["a", "b"] == [each.job for each in ask(days(0, 1), jobs=["a", "b"])]


def test_group_is_sent_without_the_store_where_its_spec_allows(scene):
    scene.fail_on("admit_many")
    producer = replace(scene.producer, sends_alone=True)

    outcomes = producer.enqueue_many(scene.spec, days(0, 1))

    assert [(Admitted, True)] * 2 == [(type(each), each.degraded) for each in outcomes]
    assert [False, False] == [message.admitted for message in scene.sender.sent]


def test_record_that_cannot_be_used_costs_no_other_one_its_outcome(scene, monkeypatch):
    admit_many, damaged = scene.store.admit_many, RecordDamaged(key="k", reason="wrong_type")
    monkeypatch.setattr(scene.store, "admit_many", lambda claims: [damaged, *admit_many(claims[1:])])

    assert [RecordDamaged, Admitted] == kinds(scene.producer.enqueue_many(scene.spec, days(0, 1)))


def test_damaged_answer_is_no_answer_for_a_group(scene, ask):
    made = scene.answered(days(0)[0])
    record = scene.store._records.by_key[made.key]
    record.value = replace(record.value, answer=record.value.answer._replace(data=b"j{"))

    assert [Admitted, Admitted] == kinds(ask(days(0, 1)))


def test_jobs_that_the_broker_did_not_take_are_recorded(scene, ask, heard):
    scene.sender.refuses = True

    outcomes = ask(days(0, 0, 1))

    assert [SendFailed, Attached, SendFailed] == kinds(outcomes)
    assert Status.QUEUED is scene.read(outcomes[2].key).status
    assert 2 == len(heard.named("job.send_failed"))


def test_broker_that_refuses_is_tried_once_for_a_group(scene, ask, monkeypatch):
    tried = []

    def send(message):
        tried.append(message)
        raise SendFailed(key=message.job.key, job=message.job.id)

    monkeypatch.setattr(scene.sender, "send", send)

    assert [SendFailed] * 3 == kinds(ask(days(0, 1, 2)))
    assert 1 == len(tried)


def test_lost_message_is_sent_again_by_a_group_and_counted(scene, ask):
    first = scene.ask(days(0)[0])
    scene.clock.advance(scene.spec.queue_deadline + 1)
    scene.deliver()

    [again] = ask(days(0))

    assert (Attached, first.job) == (type(again), again.job)
    assert 2 == len(scene.sender.sent)
    assert 1 == scene.read().resent


def test_job_of_a_group_that_is_due_later_is_not_sent_yet(scene, ask):
    assert [Admitted] == kinds(ask(days(0), countdown=60))
    assert [] == scene.sender.sent


def test_each_payload_of_a_group_has_its_event(scene, ask, heard):
    scene.answered(days(1)[0])
    del heard[:]

    ask(days(0, 1, 0))

    assert ["job.admitted", "job.hit", "job.attached"] == heard.names


def test_record_that_is_gone_is_enqueued_again_for_its_group(scene, ask):
    [asked] = ask(days(0))
    scene.store.invalidate(asked.key)

    assert asked.handle.look()[1] is None
    scene.work()
    assert scene.answer == asked.result(0).value
